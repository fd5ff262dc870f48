-- Shared: what is written of a job as a worker is given it, and what it needs to know.

-- Fields of a job that only RQ's own code can run.
local UNUSUAL = { 'success_callback_name', 'failure_callback_name',
  'stopped_callback_name', 'retries_left', 'repeats_left', 'rate_limit_key',
  'webhooks' }

-- `fields` has those from a place on.
local function is_unusual(fields, first)
  for i = first, #fields do
    if fields[i] and fields[i] ~= '' then
      return true
    end
  end
  return false
end

-- Mark a job as started; return how often it has been delivered, this time included.
local function begin(key, worker, now, deliveries, ttl)
  local delivery = (tonumber(deliveries or 0) or 0) + 1
  redis.call('HSET', key, 'status', 'started', 'started_at', now, 'last_heartbeat', now,
    'worker_name', worker, 'headway_delivery', delivery)
  if ttl then
    redis.call('PERSIST', key) -- it was to be forgotten had nobody begun it
  end
  return delivery
end

