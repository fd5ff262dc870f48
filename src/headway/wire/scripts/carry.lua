-- Hand jobs over to an engine whose messages are in this Redis: each is taken off the list
-- that it was to be sent from, noted as sent, and its message written, or none of that.
--
-- KEYS[1]  list of the queue: what is to be sent
-- KEYS[2]  sorted set: what was sent, by the second
-- ARGV     for each job: id, and in MessagePack as for enqueue_carried.lua: the set, and
--          the commands that write its message
--
-- Returns how many were handed over; the others had been, or were canceled.

local call = redis.call
local time = call('TIME')
local now = time[1] + time[2] / 1e6
local count = 0
for a = 1, #ARGV, 2 do
  if call('LREM', KEYS[1], 1, ARGV[a]) == 1 then
    local carried = cmsgpack.unpack(ARGV[a + 1])
    call('ZADD', KEYS[2], now, ARGV[a]) -- first: should a command fail, it is found
    for c = 2, #carried do
      call(unpack(carried[c]))
    end
    count = count + 1
  end
end
return count
