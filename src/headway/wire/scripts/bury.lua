-- Put a job among the failed ones, with the reason: its hash cannot be read, or the
-- application's own code for its end has failed time and again.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  hash of the job
-- KEYS[3]  sorted set of its queue's failed jobs
-- KEYS[4]  stream of its results
-- ARGV[1]  id
-- ARGV[2]  `ordinal:queue`
-- ARGV[3]  the time as RQ writes it
-- ARGV[4]  the same in seconds since 1970
-- ARGV[5]  name of the worker
-- ARGV[6]  the reason, as RQ writes it into a result
--
-- Returns 1 when it was buried, 0 when the lease was lost; what Redis says where it takes
-- nothing now, as when its memory is full: the job stays leased.

local YEAR = 31536000 -- RQ's own default
local call, pcall = redis.call, redis.pcall
if call('HGET', KEYS[1], ARGV[1]) ~= ARGV[2] then
  return 0
end
-- Any of these keys may hold something else: that stops none of the others.
local writes = {
  { 'ZADD', KEYS[3], ARGV[4] + YEAR, ARGV[1] },
  { 'HSET', KEYS[2], 'status', 'failed', 'ended_at', ARGV[3] },
  { 'EXPIRE', KEYS[2], YEAR },
  { 'XADD', KEYS[4], 'MAXLEN', '~', 10, '*', 'type', 2, 'worker_name', ARGV[5],
    'exc_string', ARGV[6] },
  { 'EXPIRE', KEYS[4], YEAR },
}
for _, write in ipairs(writes) do
  local answer = pcall(unpack(write))
  local err = type(answer) == 'table' and answer.err
  if err and string.find(err, 'OOM', 1, true) then
    return answer
  end
end
call('HDEL', KEYS[1], ARGV[1])
local flow = workflow_of(KEYS[2])
if flow then
  settle(flow, ARGV[1])
end
return 1
