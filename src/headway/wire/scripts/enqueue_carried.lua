-- Write one job as enqueue_one.lua does, and hand it over to an engine whose messages are
-- in this Redis: its message is written in place of an entry of its queue's list.
--
-- Keys and arguments are those of enqueue_one.lua, but for
-- ARGV[2]  in MessagePack: the sorted set of what was sent, and the commands that write
--          the message, each a list of words
--
-- Returns 0, or 1 where a job of this id is there and is left as it is.

if not written() then
  return 1
end
local carried = cmsgpack.unpack(ARGV[2])
for c = 2, #carried do
  local done = redis.pcall(unpack(carried[c]))
  if type(done) == 'table' and done.err then
    redis.call('RPUSH', KEYS[2], ARGV[1]) -- it is sent when that is mended
    return 0
  end
end
local time = redis.call('TIME')
redis.call('ZADD', carried[1], time[1] + time[2] / 1e6, ARGV[1])
return 0
