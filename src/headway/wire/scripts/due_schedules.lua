-- Tell which schedules are due, by the store's own clock.
--
-- KEYS[1]  sorted set: schedules by their next tick, in microseconds since 1970
-- ARGV[1]  how many to return at most
--
-- Returns the time in microseconds, and how many of them it is until another is due
-- (-1 where none is), as text; and the names, the longest due first.

local time = redis.call('TIME')
local now = time[1] .. string.format('%06d', time[2])
local names = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
local following = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now, '+inf',
  'WITHSCORES', 'LIMIT', 0, 1)
local left = following[2] and tonumber(following[2]) - tonumber(now) or -1
return { now, string.format('%.0f', left), names }
