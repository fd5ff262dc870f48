-- Give jobs back unrun, to the front of their queues and in their old order.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- ARGV[1]  how the key of a job hash begins
-- ARGV[2]  ... of a queue's list
-- ARGV[3]  ... of a queue's wake-up list
-- then for each job, in the order in which they were reserved: id, ordinal
--
-- Returns the ids that were given back; the others are not this lease's any more.

local released = {}
for a = #ARGV - 1, 4, -2 do
  local id, key = ARGV[a], ARGV[1] .. ARGV[a]
  local ordinal, queue = string.match(redis.call('HGET', KEYS[1], id) or '', '^(%d+):(.*)$')
  if ordinal == ARGV[a + 1] then
    if redis.pcall('HGET', key, 'status') == 'started' then
      redis.call('LPUSH', ARGV[2] .. queue, id) -- first: its key may hold something else
      redis.call('HSET', key, 'status', 'queued', 'worker_name', '')
      if redis.call('LLEN', ARGV[3] .. queue) == 0 then
        redis.call('RPUSH', ARGV[3] .. queue, 1)
      end
    end
    redis.call('HDEL', KEYS[1], id)
    released[#released + 1] = id
  end
end
return released
