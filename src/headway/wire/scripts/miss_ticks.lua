-- Write ticks of a schedule down that are not sent, and move its cursor past them.
--
-- KEYS[1]  hash of the schedule
-- KEYS[2]  sorted set: schedules by their next tick
-- KEYS[3]  sorted set: the ticks that are remembered
-- KEYS[4]  hash: what became of them
-- ARGV[1]  name of the schedule
-- ARGV[2]  its version
-- ARGV[3]  where its cursor is believed to be, in microseconds since 1970
-- ARGV[4]  the last of the ticks
-- ARGV[5]  the tick after it; empty where there is none
-- ARGV[6]  what became of them, as JSON
-- ARGV[7]  how many ticks are remembered
-- ARGV[8]  "1" where it is believed to be paused, else "0"
--
-- Returns 1, or 0 where somebody else has moved the cursor, or paused or resumed it.

local call = redis.call
local state = call('HMGET', KEYS[1], 'version', 'cursor', 'paused')
if state[1] ~= ARGV[2] or state[2] ~= ARGV[3] or state[3] ~= ARGV[8] then
  return 0
end
call('HSET', KEYS[4], ARGV[4], ARGV[6])
call('ZADD', KEYS[3], ARGV[4], ARGV[4])
local surplus = call('ZCARD', KEYS[3]) - ARGV[7]
if surplus > 0 then
  -- Some at a time: Lua unpacks no more than 8000.
  local oldest = call('ZRANGE', KEYS[3], 0, math.min(surplus, 1000) - 1)
  call('ZREM', KEYS[3], unpack(oldest))
  call('HDEL', KEYS[4], unpack(oldest))
end
call('HSET', KEYS[1], 'cursor', ARGV[4])
if ARGV[5] == '' or ARGV[8] == '1' then
  call('ZREM', KEYS[2], ARGV[1])
else
  call('ZADD', KEYS[2], ARGV[5], ARGV[1])
end
return 1
