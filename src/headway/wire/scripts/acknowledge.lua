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
-- then for each job: id, its `ordinal:queue` in the lease, queue, result ttl in seconds
--           (-1: for ever), return value in base64 ("" for None), ended as RQ writes a
--           time, id of the execution, began and ended in seconds since 1970, "1" if it
--           was shown in RQ's registries while it ran
--
-- Returns the ids whose lease was lost, then those with dependents, which only RQ's own
-- code can finish: they are left as they were.

local FIRST, SIZE = 8, 10
local call, pcall = redis.call, redis.pcall
local JOB, RESULTS = ARGV[2], ARGV[3]

local function dependents_of(id)
  return JOB .. id .. ':dependents'
end

local function dependencies_of(id)
  return JOB .. ':' .. id .. ':dependencies' -- the double colon is RQ's
end

local function drop_execution(id, execution, queue)
  local both = id .. ':' .. execution
  call('DEL', ARGV[6] .. both)
  call('ZREM', ARGV[5] .. queue, both)
  call('ZREM', ARGV[7] .. id, execution)
  call('SREM', KEYS[3], both)
end

local function append(results, ...)
  local added = pcall('XADD', results, 'MAXLEN', '~', 10, '*', 'type', 1,
    'worker_name', ARGV[1], ...)
  if type(added) == 'table' then -- the key holds something else: not for long
    call('DEL', results)
    call('XADD', results, '*', 'type', 1, 'worker_name', ARGV[1], ...)
  end
end

local function keep(key, a, ttl)
  local results = RESULTS .. ARGV[a]
  if ARGV[a + 4] == '' then
    append(results, 'execution_id', ARGV[a + 6], 'execution_started_at', ARGV[a + 7],
      'execution_ended_at', ARGV[a + 8])
  else
    append(results, 'return_value', ARGV[a + 4], 'execution_id', ARGV[a + 6],
      'execution_started_at', ARGV[a + 7], 'execution_ended_at', ARGV[a + 8])
  end
  if ttl > 0 then
    call('EXPIRE', key, ttl)
    call('EXPIRE', results, ttl)
    return math.floor(ARGV[a + 8]) + ttl
  end
  call('PERSIST', key)
  call('PERSIST', results)
  return ttl == -1 and '+inf' or ttl
end

-- What is asked of each job is asked of all of them at once: it is rarely so.
local ids, jobs, related = {}, {}, {}
for a = FIRST, #ARGV, SIZE do
  local id = ARGV[a]
  ids[#ids + 1] = id
  jobs[#jobs + 1] = JOB .. id
  related[#related + 1] = dependents_of(id)
  related[#related + 1] = dependencies_of(id)
end
local held = call('HMGET', KEYS[1], unpack(ids))
local any_deleted = call('EXISTS', unpack(jobs)) < #jobs
local any_related = call('EXISTS', unpack(related)) > 0

local lost, parents, done, finished, seconds = {}, {}, {}, {}, 0
for n, id in ipairs(ids) do
  local a = FIRST + (n - 1) * SIZE
  local key, queue, ttl = jobs[n], ARGV[a + 2], tonumber(ARGV[a + 3])
  if held[n] ~= ARGV[a + 1] then
    lost[#lost + 1] = id
  elseif any_related and call('EXISTS', dependents_of(id)) == 1 then
    parents[#parents + 1] = id
  else
    done[#done + 1] = id
    seconds = seconds + ARGV[a + 8] - ARGV[a + 7]
    if ARGV[a + 9] == '1' then
      drop_execution(id, ARGV[a + 6], queue)
    end
    if ttl == 0 then
      call('UNLINK', key, RESULTS .. id, dependencies_of(id))
    elseif not (any_deleted and call('EXISTS', key) == 0) then
      local set = pcall('HSET', key, 'status', 'finished', 'ended_at', ARGV[a + 5],
        'last_heartbeat', ARGV[a + 5])
      if type(set) == 'table' and not string.find(set.err, 'WRONGTYPE', 1, true) then
        return set -- Redis is full, and so nothing is written yet: all of it is asked again
      end
      if type(set) == 'number' then -- else somebody has put something else there
        local scores = finished[queue]
        if not scores then
          scores = {}
          finished[queue] = scores
        end
        scores[#scores + 1] = keep(key, a, ttl)
        scores[#scores + 1] = id
        if any_related and ttl > 0 then
          call('EXPIRE', dependencies_of(id), ttl) -- as RQ, or they would stay
        end
      end
    end
  end
end
if #done > 0 then
  call('HDEL', KEYS[1], unpack(done))
  for queue, scores in pairs(finished) do
    call('ZADD', ARGV[4] .. queue, unpack(scores))
  end
  if call('EXISTS', KEYS[2]) == 1 then -- a record that ran out stays away
    call('HINCRBY', KEYS[2], 'successful_job_count', #done)
    call('HINCRBYFLOAT', KEYS[2], 'total_working_time', seconds)
  end
end
return { lost, parents }
