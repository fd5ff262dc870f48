-- Take a job that runs once from rq-scheduler, and keep ours of the same id in its place.
-- Whoever holds the lock under which rq-scheduler sends may ask for that.
--
-- KEYS[1]  sorted set: rq-scheduler's jobs by the second at which they are due
-- KEYS[2]  string: who holds that lock
-- KEYS[3]  hash of the job
-- KEYS[4]  sorted set: scheduled jobs of its queue
-- KEYS[5]  set of all queues
-- KEYS[6]  set: what was made by rq-scheduler's API
-- ARGV[1]  who is to hold the lock
-- ARGV[2]  for how many milliseconds from now on
-- ARGV[3]  id of the job
-- ARGV[4]  the second at which it is believed to be due
-- ARGV[5]  its queue, as KEYS[5] has it
-- then field, value, field, value ... of our job
--
-- Returns "taken"; "moved" where the job is not as believed; or "lost" where the lock is
-- another's.

local FIRST = 6
local call = redis.call
local id = ARGV[3]
if call('GET', KEYS[2]) ~= ARGV[1] then
  return 'lost'
end
call('PEXPIRE', KEYS[2], ARGV[2])
local due = call('ZSCORE', KEYS[1], id)
if not due or tonumber(due) ~= tonumber(ARGV[4]) then
  return 'moved'
end
call('ZREM', KEYS[1], id)
call('DEL', KEYS[3])
call('HSET', KEYS[3], unpack(ARGV, FIRST))
call('SADD', KEYS[5], ARGV[5])
call('ZADD', KEYS[4], due, id)
call('SADD', KEYS[6], id)
return 'taken'
