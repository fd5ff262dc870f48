-- Shared: a job that begins now and has no unique key, written, and its queue made known.
-- Its keys and arguments are those of enqueue_one.lua. Returns whether it was not there.
local function written()
  local call = redis.call
  if call('EXISTS', KEYS[1]) == 1 then
    return false
  end
  call('HSET', KEYS[1], 'created_at', ARGV[3], 'data', ARGV[4],
    'success_callback_name', '', 'failure_callback_name', '',
    'stopped_callback_name', '', 'started_at', '', 'ended_at', '',
    'last_heartbeat', '', 'worker_name', '', 'group_id', '', 'origin', ARGV[6],
    'description', ARGV[5], 'timeout', ARGV[7], 'status', 'queued',
    'enqueued_at', ARGV[3], unpack(ARGV, 8))
  call('SADD', KEYS[3], KEYS[2])
  return true
end

