-- Write that jobs succeeded, and give up their lease: both or none of it. Who has lost
-- the lease of a job meanwhile cannot write its result.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  hash of its worker
-- KEYS[3]  set: `job:execution` of what that worker runs
-- ARGV[1]  name of the worker
-- ARGV[2]  how the key of a job hash begins
-- ARGV[3]  ... of a stream of results
-- ARGV[4]  ... of a sorted set of finished jobs
-- ARGV[5]  ... of a sorted set of started jobs
-- ARGV[6]  ... of an execution's hash
-- ARGV[7]  ... of the sorted set of a job's executions
-- ARGV[8]  how the id of an execution begins; the ordinal in 16 digits ends it
-- then for each job: id, ordinal, queue, result ttl in seconds (-1: for ever),
--           return value in base64 ("" for None), started and ended as RQ writes
--           them, started and ended in seconds since 1970, "1" if it was shown in RQ's
--           registries while it ran
--
-- Returns the ids whose lease was lost, then those with dependents, which only RQ's own
-- code can finish: they are left as they were.

local SIZE = 10
local lost, parents = {}, {}
local ids, dependents = {}, {}
for a = 9, #ARGV, SIZE do
  ids[#ids + 1] = ARGV[a]
  dependents[#dependents + 1] = ARGV[2] .. ARGV[a] .. ':dependents'
end
local held = redis.call('HMGET', KEYS[1], unpack(ids))
local any_parent = redis.call('EXISTS', unpack(dependents)) > 0
local finished, done, seconds = {}, {}, 0

local function drop_execution(id, execution, queue)
  local both = id .. ':' .. execution
  redis.call('DEL', ARGV[6] .. both)
  redis.call('ZREM', ARGV[5] .. queue, both)
  redis.call('ZREM', ARGV[7] .. id, execution)
  redis.call('SREM', KEYS[3], both)
end

local function dependencies_of(id)
  return ARGV[2] .. ':' .. id .. ':dependencies' -- the double colon is RQ's
end

local function keep(key, id, a, execution, ttl)
  local results = ARGV[3] .. id
  redis.call('HSET', key, 'status', 'finished', 'started_at', ARGV[a + 5],
    'ended_at', ARGV[a + 6], 'last_heartbeat', ARGV[a + 6])
  if ARGV[a + 4] == '' then
    redis.call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 1,
      'worker_name', ARGV[1], 'execution_id', execution,
      'execution_started_at', ARGV[a + 7], 'execution_ended_at', ARGV[a + 8])
  else
    redis.call('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 1,
      'worker_name', ARGV[1], 'return_value', ARGV[a + 4], 'execution_id', execution,
      'execution_started_at', ARGV[a + 7], 'execution_ended_at', ARGV[a + 8])
  end
  local queue = ARGV[a + 2]
  finished[queue] = finished[queue] or {}
  local scores = finished[queue]
  if ttl > 0 then
    redis.call('EXPIRE', key, ttl)
    redis.call('EXPIRE', results, ttl)
    redis.call('EXPIRE', dependencies_of(id), ttl) -- as RQ, or they would stay
    scores[#scores + 1] = math.floor(ARGV[a + 8]) + ttl
  else
    redis.call('PERSIST', key)
    redis.call('PERSIST', results)
    scores[#scores + 1] = ttl == -1 and '+inf' or ttl
  end
  scores[#scores + 1] = id
end

for n, id in ipairs(ids) do
  local a = 9 + (n - 1) * SIZE
  local key, queue, ttl = ARGV[2] .. id, ARGV[a + 2], tonumber(ARGV[a + 3])
  local execution = ARGV[8] .. string.format('%016x', ARGV[a + 1])
  if held[n] ~= ARGV[a + 1] .. ':' .. queue then
    lost[#lost + 1] = id
  elseif any_parent and redis.call('EXISTS', dependents[n]) == 1 then
    parents[#parents + 1] = id
  else
    done[#done + 1] = id
    seconds = seconds + ARGV[a + 8] - ARGV[a + 7]
    if ARGV[a + 9] == '1' then
      drop_execution(id, execution, queue)
    end
    if ttl == 0 then
      redis.call('UNLINK', key, ARGV[3] .. id, dependencies_of(id))
    elseif redis.call('EXISTS', key) == 1 then -- it may have been deleted as it ran
      keep(key, id, a, execution, ttl)
    end
  end
end
if #done > 0 then
  redis.call('HDEL', KEYS[1], unpack(done))
  for queue, scores in pairs(finished) do
    redis.call('ZADD', ARGV[4] .. queue, unpack(scores))
  end
  if redis.call('EXISTS', KEYS[2]) == 1 then -- a record that ran out stays away
    redis.call('HINCRBY', KEYS[2], 'successful_job_count', #done)
    redis.call('HINCRBYFLOAT', KEYS[2], 'total_working_time', seconds)
  end
end
return { lost, parents }
