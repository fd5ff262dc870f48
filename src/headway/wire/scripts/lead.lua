-- Be, or stay, the one who does the work that one is enough for.
--
-- KEYS[1]  string: who that is
-- ARGV[1]  who asks
-- ARGV[2]  for how many milliseconds
--
-- Returns 1 where it is who asks.

local leader = redis.call('GET', KEYS[1])
if leader and leader ~= ARGV[1] then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
