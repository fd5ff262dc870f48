-- Move the scheduled jobs that are due into their queue, in order of due time.
-- Any number of promoters may run: each job is moved once.
--
-- KEYS[1]  sorted set of the queue's scheduled jobs
-- KEYS[2]  list of the queue
-- KEYS[3]  set of all queues
-- KEYS[4]  wake-up list of the queue
-- KEYS[5]  list: ids whose key holds no job
-- ARGV[1]  how the key of a job hash begins
-- ARGV[2]  how many to move at most
-- ARGV[3]  the time as RQ writes it, for enqueued_at
-- ARGV[4]  the queue's key, as member of KEYS[3]
--
-- Returns how many were moved, then the ids that only rq's own code can enqueue
-- (rate limits); those are left where they were.

local now = redis.call('TIME')
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now[1] + now[2] / 1e6,
  'LIMIT', 0, ARGV[2])
local moved, left = 0, {}
for _, id in ipairs(due) do
  local job_key = ARGV[1] .. id
  local about = redis.pcall('HMGET', job_key, 'status', 'enqueue_at_front',
    'rate_limit_key')
  if about.err then
    redis.call('ZREM', KEYS[1], id)
    redis.call('RPUSH', KEYS[5], id)
  elseif about[3] and about[3] ~= '' then
    left[#left + 1] = id
  else
    redis.call('ZREM', KEYS[1], id)
    if about[1] then
      redis.call('HSET', job_key, 'status', 'queued', 'enqueued_at', ARGV[3])
      redis.call(about[2] == '1' and 'LPUSH' or 'RPUSH', KEYS[2], id)
      moved = moved + 1
    end
  end
end
if moved > 0 then
  redis.call('SADD', KEYS[3], ARGV[4])
  if redis.call('LLEN', KEYS[4]) == 0 then
    redis.call('RPUSH', KEYS[4], 1)
  end
end
return { moved, unpack(left) }
