-- Prolong the leases of children.
--
-- KEYS[1]  sorted set: children by the millisecond at which their lease ends
-- ARGV[1]  how long a lease is, in milliseconds
-- ARGV[2]  how the key begins that tells that a child's jobs were recovered
-- then each child
--
-- Returns the children that hold jobs no more, since others have recovered them.

local time = redis.call('TIME')
local until_ = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local lost = {}
for a = 3, #ARGV do
  if redis.call('ZSCORE', KEYS[1], ARGV[a]) then
    redis.call('ZADD', KEYS[1], 'XX', until_, ARGV[a])
  elseif redis.call('EXISTS', ARGV[2] .. ARGV[a]) == 1 then
    lost[#lost + 1] = ARGV[a]
  end
end
return lost
