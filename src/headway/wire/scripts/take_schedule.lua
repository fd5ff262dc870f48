-- Take a job that comes again and again from rq-scheduler, and keep our schedule in its
-- place. Whoever holds the lock under which rq-scheduler sends may ask for that.
--
-- KEYS[1]  sorted set: rq-scheduler's jobs by the second at which they are due
-- KEYS[2]  string: who holds that lock
-- KEYS[3]  hash of the job
-- KEYS[4]  hash: schedules as JSON, by name
-- KEYS[5]  hash of the schedule
-- KEYS[6]  sorted set: schedules by their next tick
-- KEYS[7]  set: what was made by rq-scheduler's API
-- ARGV[1]  who is to hold the lock
-- ARGV[2]  for how many milliseconds from now on
-- ARGV[3]  id of the job, and name of the schedule
-- ARGV[4]  the second at which it is believed to be due
-- ARGV[5]  the schedule as JSON
-- ARGV[6]  its version
-- ARGV[7]  where its cursor is believed to be; empty where there is to be none yet
-- ARGV[8]  its cursor from now on, in microseconds since 1970
-- ARGV[9]  its next tick; empty where there is none
-- ARGV[10] its version as it is believed to be; empty where there is to be none yet
--
-- Returns "taken"; "moved" where the job or the schedule is not as believed; or "lost"
-- where the lock is another's.

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
local state = call('HMGET', KEYS[5], 'cursor', 'version')
if (state[1] or '') ~= ARGV[7] or (state[2] or '') ~= ARGV[10] then
  return 'moved'
end
call('ZREM', KEYS[1], id)
-- One that has run is the record of that, and may be in a queue.
if redis.pcall('HGET', KEYS[3], 'status') == 'scheduled' then
  call('DEL', KEYS[3])
end
call('HSET', KEYS[4], id, ARGV[5])
call('HSET', KEYS[5], 'version', ARGV[6], 'declared', '', 'cursor', ARGV[8])
call('HSETNX', KEYS[5], 'paused', '0')
call('HDEL', KEYS[5], 'waiting')
if ARGV[9] == '' or call('HGET', KEYS[5], 'paused') == '1' then
  call('ZREM', KEYS[6], id)
else
  call('ZADD', KEYS[6], ARGV[9], id)
end
call('SADD', KEYS[7], id)
return 'taken'
