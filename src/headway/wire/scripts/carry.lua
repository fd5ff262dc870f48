-- Hand jobs over to an engine whose messages are in this Redis: each is taken off the list
-- that it was to be sent from, noted as sent, and its message written, or none of that.
--
-- KEYS[1]  list of the queue: what is to be sent
-- KEYS[2]  sorted set: what was sent, by the second
-- ARGV     for each job: id, number of commands, and of each of these: number of words,
--          words
--
-- Returns how many were handed over; the others had been, or were canceled.

local call = redis.call
local time = call('TIME')
local now = time[1] + time[2] / 1e6
local a, count = 1, 0
while ARGV[a] do
  local id, commands = ARGV[a], tonumber(ARGV[a + 1])
  local is_ours = call('LREM', KEYS[1], 1, id) == 1
  a = a + 2
  for _ = 1, commands do
    local words = tonumber(ARGV[a])
    if is_ours then
      call(unpack(ARGV, a + 1, a + words))
    end
    a = a + 1 + words
  end
  if is_ours then
    call('ZADD', KEYS[2], now, id)
    count = count + 1
  end
end
return count
