-- Note that an engine has the messages of jobs, wherever it keeps them.
--
-- KEYS[1]  list of the queue: what is to be sent
-- KEYS[2]  sorted set: what was sent, by the second
-- ARGV     ids
--
-- Returns how many were noted; the others run by now, or were canceled.

local time = redis.call('TIME')
local count = 0
for _, id in ipairs(ARGV) do
  if redis.call('LREM', KEYS[1], 1, id) == 1 then
    redis.call('ZADD', KEYS[2], time[1] + time[2] / 1e6, id)
    count = count + 1
  end
end
return count
