-- Find jobs whose message the engine seems to have lost, and put them back into the list
-- that they are sent from: the engine has nothing left of the queue, or workers were
-- given jobs that were sent long after. A message that comes all the same does no harm:
-- who takes the job first has it. One that does not wait any more, as RQ's own tools have
-- canceled or deleted it, or its time is over, is forgotten here: nobody else would. What
-- is put back is marked, to be sent by the name that every worker knows: an engine's own
-- worker drops a message whose task it does not know.
--
-- KEYS[1]  list of the queue: what is to be sent
-- KEYS[2]  sorted set: what was sent, by the second
-- KEYS[3]  hash: when the latest job was sent that a worker was given, by queue
-- ARGV[1]  name of the queue
-- ARGV[2]  whether the engine has nothing left of it, "1" or "0"
-- ARGV[3]  for how many seconds a message is given time
-- ARGV[4]  how many jobs at most
-- ARGV[5]  how the key of a job hash begins
--
-- Returns their ids.

local call = redis.call
local time = call('TIME')
local before = time[1] - ARGV[3]
if ARGV[2] ~= '1' then
  before = math.min(before, (tonumber(call('HGET', KEYS[3], ARGV[1]) or 0) or 0) - ARGV[3])
end
local ids = call('ZRANGEBYSCORE', KEYS[2], '-inf', before, 'LIMIT', 0, ARGV[4])
if #ids == 0 then
  return ids
end
local waiting = {}
for _, id in ipairs(ids) do
  if redis.pcall('HGET', ARGV[5] .. id, 'status') == 'queued' then
    call('HSET', ARGV[5] .. id, 'headway_resent', 1)
    waiting[#waiting + 1] = id
  end
end
call('ZREM', KEYS[2], unpack(ids))
if #waiting > 0 then
  call('RPUSH', KEYS[1], unpack(waiting))
end
return waiting
