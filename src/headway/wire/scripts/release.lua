-- Give jobs back that were not run, or not to their end: to the front of their queues
-- and in their old order.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  set: `job:execution` of what its worker runs
-- ARGV[1]  how the key of a job hash begins
-- ARGV[2]  ... of a queue's list
-- ARGV[3]  ... of a queue's wake-up list
-- ARGV[4]  ... of a sorted set of started jobs
-- ARGV[5]  ... of an execution's hash
-- ARGV[6]  ... of the sorted set of a job's executions
-- ARGV[7]  how the id of an execution begins; the ordinal in 16 digits ends it
-- then for each job, in the order in which they were reserved: id, ordinal
--
-- Returns the ids that were given back; the others are not this lease's any more.

local released = {}
for a = #ARGV - 1, 8, -2 do
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
    -- One that has run for a while was shown in RQ's registries.
    local execution = ARGV[7] .. string.format('%016x', ordinal)
    local both = id .. ':' .. execution
    redis.call('DEL', ARGV[5] .. both)
    redis.pcall('ZREM', ARGV[4] .. queue, both)
    redis.pcall('ZREM', ARGV[6] .. id, execution)
    redis.call('SREM', KEYS[2], both)
    released[#released + 1] = id
  end
end
return released
