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
-- ARGV[8]  in MessagePack, value after value, for each job: id, its `ordinal:queue` in
--          the lease, queue, result ttl in seconds (-1: for ever), return value in
--          base64 ("" for None), ended as RQ writes a time, id of the execution, began
--          and ended in seconds since 1970, whether it was shown in RQ's registries
--          while it ran, the workflow that it is a node of ("" for none). One argument,
--          for each word that is sent costs Redis as much as a small command.
--
-- Returns the ids whose lease was lost (such a run is counted on its job as superseded,
-- and leaves nothing else), then those with dependents outside of a workflow, which only
-- RQ's own code can finish: they are left as they were.

-- Places in what is unpacked of a job; the first is where the next one begins, or -1.
local NEXT, ID, HELD, QUEUE, TTL, VALUE, ENDED_AT, EXECUTION, BEGAN, ENDED, SHOWN, FLOW =
  1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12
local call, pcall = redis.call, redis.pcall
local JOB, RESULTS = ARGV[2], ARGV[3]

local function dependents_of(id)
  return JOB .. id .. ':dependents'
end

local function dependencies_of(id)
  return JOB .. ':' .. id .. ':dependencies' -- the double colon is RQ's
end

local function drop_execution(job)
  local both = job[ID] .. ':' .. job[EXECUTION]
  call('DEL', ARGV[6] .. both)
  call('ZREM', ARGV[5] .. job[QUEUE], both)
  call('ZREM', ARGV[7] .. job[ID], job[EXECUTION])
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

local function keep(key, job)
  local results, ttl = RESULTS .. job[ID], job[TTL]
  if job[VALUE] == '' then
    append(results, 'execution_id', job[EXECUTION], 'execution_started_at',
      job[BEGAN], 'execution_ended_at', job[ENDED])
  else
    append(results, 'return_value', job[VALUE], 'execution_id', job[EXECUTION],
      'execution_started_at', job[BEGAN], 'execution_ended_at', job[ENDED])
  end
  if ttl > 0 then
    call('EXPIRE', key, ttl)
    call('EXPIRE', results, ttl)
    return math.floor(job[ENDED]) + ttl
  end
  call('PERSIST', key)
  call('PERSIST', results)
  return ttl == -1 and '+inf' or ttl
end

-- Of a node those are left out that its workflow lets go.
local function has_dependents(job)
  if call('EXISTS', dependents_of(job[ID])) == 0 then
    return false
  elseif job[FLOW] == '' then
    return true
  end
  local nodes = workflows().part(job[FLOW], ':nodes')
  for _, id in ipairs(call('SMEMBERS', dependents_of(job[ID]))) do
    if call('HEXISTS', nodes, id) == 0 then
      return true
    end
  end
  return false
end

-- What is asked of each job is asked of all of them at once: it is rarely so.
local jobs, ids, related, at = {}, {}, {}, 0
while at ~= -1 do
  local job = { cmsgpack.unpack_limit(ARGV[8], 11, at) }
  local id, n = job[ID], #jobs + 1
  jobs[n], ids[n] = job, id
  related[2 * n - 1], related[2 * n] = dependents_of(id), dependencies_of(id)
  at = job[NEXT]
end
local held = call('HMGET', KEYS[1], unpack(ids))
local any_related = call('EXISTS', unpack(related)) > 0

local lost, parents, done, nodes, finished, seconds = {}, {}, {}, {}, {}, 0
for n, job in ipairs(jobs) do
  local id, ttl, ended_at = job[ID], job[TTL], job[ENDED_AT]
  if held[n] ~= job[HELD] then
    lost[#lost + 1] = id
    -- Its supervisor may have acknowledged it meanwhile, while the child was busy.
    local runs_it = pcall('HGET', JOB .. id, 'worker_name')
    if type(runs_it) == 'string' and runs_it ~= ARGV[1] then
      call('HINCRBY', JOB .. id, 'headway_superseded', 1)
    end
  elseif any_related and has_dependents(job) then
    parents[#parents + 1] = id
  else
    done[#done + 1] = id
    if job[FLOW] ~= '' then
      nodes[#nodes + 1] = job
    end
    seconds = seconds + job[ENDED] - job[BEGAN]
    if job[SHOWN] then
      drop_execution(job)
    end
    local key = JOB .. id
    if ttl == 0 then
      call('UNLINK', key, RESULTS .. id, dependencies_of(id))
    else
      local set = pcall('HSET', key, 'status', 'finished', 'ended_at', ended_at,
        'last_heartbeat', ended_at)
      if type(set) == 'table' and not string.find(set.err, 'WRONGTYPE', 1, true) then
        return set -- Redis is full, and so nothing is written yet: all of it is asked again
      end
      if set == 3 then -- none of them was there: the job was deleted while it ran
        call('DEL', key)
      elseif type(set) == 'number' then -- else somebody has put something else there
        local scores = finished[job[QUEUE]]
        if not scores then
          scores = {}
          finished[job[QUEUE]] = scores
        end
        scores[#scores + 1] = keep(key, job)
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
  local verbs = #nodes > 0 and workflows()
  for _, job in ipairs(nodes) do
    verbs.settle(job[FLOW], job[ID])
  end
  if call('EXISTS', KEYS[2]) == 1 then -- a record that ran out stays away
    call('HINCRBY', KEYS[2], 'successful_job_count', #done)
    call('HINCRBYFLOAT', KEYS[2], 'total_working_time', seconds)
  end
end
return { lost, parents }
