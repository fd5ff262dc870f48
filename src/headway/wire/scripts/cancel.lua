-- Keep a job that has not begun from running.
--
-- KEYS[1]  hash of the job
-- KEYS[2]  list of its queue
-- KEYS[3]  sorted set of scheduled jobs
-- KEYS[4]  sorted set of deferred jobs
-- KEYS[5]  sorted set of canceled jobs
-- KEYS[6]  sorted set of those that another engine carries
-- ARGV[1]  id
--
-- Returns "done", or the status of a job that is not waiting ("" for no job).

local status = redis.call('HGET', KEYS[1], 'status')
local waited = 0
if status == 'queued' then
  waited = redis.call('ZREM', KEYS[6], ARGV[1])
  if waited == 0 then
    waited = redis.call('LREM', KEYS[2], 1, ARGV[1])
  end
elseif status == 'scheduled' then
  waited = redis.call('ZREM', KEYS[3], ARGV[1])
elseif status == 'deferred' then
  waited = redis.call('ZREM', KEYS[4], ARGV[1])
end
if waited == 0 then
  return status or ''
end
redis.call('HSET', KEYS[1], 'status', 'canceled')
redis.call('ZADD', KEYS[5], redis.call('TIME')[1], ARGV[1])
local flow = workflow_of(KEYS[1])
if flow then
  settle(flow, ARGV[1])
end
return 'done'
