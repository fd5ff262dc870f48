-- Write one job that is to begin now and has no unique key; as enqueue.lua does, in
-- half its time: most calls send one such job. What all of them have in common stands
-- here, for each word that is sent costs Redis as much as a small command.
--
-- KEYS[1]  hash of the job
-- KEYS[2]  list of its queue
-- KEYS[3]  set of all queues
-- KEYS[4]  wake-up list of the queue
-- ARGV[1]  id
-- ARGV[2]  "RPUSH", or "LPUSH" to put it in front
-- ARGV[3]  the time as RQ writes it
-- ARGV[4]  payload
-- ARGV[5]  description
-- ARGV[6]  name of the queue
-- ARGV[7]  timeout
-- ARGV[8]  field, value, field, value ... that few jobs have
--
-- Returns 0, or 1 where a job of this id is there and is left as it is.

local call = redis.call
if not written() then
  return 1
end
call(ARGV[2], KEYS[2], ARGV[1])
if call('LLEN', KEYS[4]) == 0 then
  call('RPUSH', KEYS[4], 1)
end
return 0
