-- Run a job again that failed, was stopped or was canceled, with all its attempts. Of a
-- workflow, all that did not come to its end by that.
--
-- KEYS[1]  hash of the job
-- KEYS[2]  list of its queue
-- KEYS[3]  sorted set of failed (and stopped) jobs
-- KEYS[4]  sorted set of canceled jobs
-- KEYS[5]  set of all queues
-- KEYS[6]  wake-up list of the queue
-- ARGV[1]  id
-- ARGV[2]  the time as RQ writes it, for enqueued_at
-- ARGV[3]  new meta of the job; "" leaves it
-- then id, new meta, id, new meta ... of nodes of its workflow
--
-- Returns "done", "limited" for a job that only rq's own code can requeue (rate limits;
-- it is left as it was), or the status of one that cannot be ("" for no job). Of a node
-- that cannot be: its workflow, and what retry_workflow.lua would have returned.

local status, limit = unpack(redis.call('HMGET', KEYS[1], 'status', 'rate_limit_key'))
if limit and limit ~= '' then
  return 'limited'
end
local flow = workflow_of(KEYS[1])
if flow and ENDED[status] and status ~= 'finished' then
  local answer = reopen(flow, 4)
  return answer == 'done' and answer or { flow, answer }
end
local ended = redis.call('ZREM', KEYS[3], ARGV[1]) + redis.call('ZREM', KEYS[4], ARGV[1])
if not status or ended == 0 then
  return status or ''
end
redis.call('HDEL', KEYS[1], 'number_of_retries', 'exc_info', 'worker_name',
  'headway_crashes', 'headway_story', 'headway_superseded', 'headway_delivery',
  'headway_broken_off')
redis.call('HSET', KEYS[1], 'status', 'queued', 'enqueued_at', ARGV[2],
  'started_at', '', 'ended_at', '')
if ARGV[3] ~= '' then
  redis.call('HSET', KEYS[1], 'meta', ARGV[3])
end
redis.call('PERSIST', KEYS[1]) -- a failed job was to be forgotten, this one is not
redis.call('SADD', KEYS[5], KEYS[2])
redis.call('RPUSH', KEYS[2], ARGV[1])
if redis.call('LLEN', KEYS[6]) == 0 then
  redis.call('RPUSH', KEYS[6], 1)
end
return 'done'
