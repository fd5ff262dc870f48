-- Keep a schedule: a new one, or another version of one that is there.
--
-- KEYS[1]  hash: schedules as JSON, by name
-- KEYS[2]  hash of the schedule
-- KEYS[3]  sorted set: schedules by their next tick
-- ARGV[1]  name
-- ARGV[2]  the schedule as JSON
-- ARGV[3]  its version
-- ARGV[4]  the module that declares it; empty for one made at run time
-- ARGV[5]  "1" where none of its ticks is to be sent, "0" where they are; empty: as it is
-- ARGV[6]  where its cursor is believed to be; empty where there is to be none yet
-- ARGV[7]  its cursor from now on, in microseconds since 1970
-- ARGV[8]  its next tick; empty where there is none
-- ARGV[9]  its version as it is believed to be; empty where there is to be none yet
--
-- Returns 1, or 0 where it is not as it was believed to be.

local call = redis.call
local state = call('HMGET', KEYS[2], 'cursor', 'version')
if not string.match(state[1] or '', '^%d+$') then
  state = {} -- nobody can read it: there is none
end
if (state[1] or '') ~= ARGV[6] or (state[2] or '') ~= ARGV[9] then
  return 0
end
local paused = ARGV[5]
if paused == '' then
  paused = call('HGET', KEYS[2], 'paused') or '0'
end
call('HSET', KEYS[1], ARGV[1], ARGV[2])
call('HSET', KEYS[2], 'version', ARGV[3], 'declared', ARGV[4], 'paused', paused,
  'cursor', ARGV[7])
if ARGV[7] ~= ARGV[6] then
  call('HDEL', KEYS[2], 'waiting')
end
if paused == '1' or ARGV[8] == '' then
  call('ZREM', KEYS[3], ARGV[1])
else
  call('ZADD', KEYS[3], ARGV[8], ARGV[1])
end
return 1
