-- Forget a job, and take it off every list, unless somebody runs it.
--
-- KEYS[1]  hash of the job
-- KEYS[2]  sorted set: its executions by the second at which they are abandoned
-- KEYS[3]  sorted set: children by the millisecond at which their lease ends
-- KEYS[4]  stream of its results
-- KEYS[5]  set of the jobs that wait for it
-- KEYS[6]  set of the jobs it waits for
-- KEYS[7]  set of the jobs of its group ("" where it is of none)
-- KEYS[8]  string that holds its unique key ("" where there is none)
-- then for each queue it may be in: the list, and every sorted set
--
-- ARGV[1]  id
-- ARGV[2]  how the key of a child's lease begins
-- ARGV[3]  how the key of an execution's hash begins
-- ARGV[4]  how many keys there are for each queue
--
-- Returns "done", "started" for a job that somebody runs, or "" where there is none:
-- then only what was left of it on the lists is gone.

local id, size = ARGV[1], tonumber(ARGV[4])
-- In these it is in no queue's list, which can be long to look through.
local elsewhere = { started = true, scheduled = true, deferred = true,
  finished = true, failed = true, canceled = true, stopped = true }

local function is_executed()
  local live = redis.pcall('ZCOUNT', KEYS[2], '(' .. redis.call('TIME')[1], '+inf')
  return type(live) == 'number' and live > 0
end

local function is_leased()
  for _, child in ipairs(redis.call('ZRANGE', KEYS[3], 0, -1)) do
    if redis.call('HEXISTS', ARGV[2] .. child, id) == 1 then
      return true
    end
  end
  return false
end

local function executions_left()
  local members = { id }
  local executions = redis.pcall('ZRANGE', KEYS[2], 0, -1)
  for _, execution in ipairs(executions.err and {} or executions) do
    members[#members + 1] = id .. ':' .. execution
    redis.call('UNLINK', ARGV[3] .. id .. ':' .. execution)
  end
  return members
end

-- A key of a wrong type stops no other.
local function drop_from_lists(status)
  local members = executions_left()
  for list = 9, #KEYS, size do
    if not elsewhere[status] then
      redis.pcall('LREM', KEYS[list], 0, id)
    end
    for registry = list + 1, list + size - 1 do
      redis.pcall('ZREM', KEYS[registry], unpack(members))
    end
  end
end

local exists = redis.call('EXISTS', KEYS[1]) == 1
local status = redis.pcall('HGET', KEYS[1], 'status')
if status == 'started' and (is_executed() or is_leased()) then
  return 'started'
end
if status == 'queued' and is_executed() then
  return 'started' -- RQ's worker has taken it, and is about to say so
end
if type(status) ~= 'string' then
  status = '' -- none, or no hash
end
drop_from_lists(status)
if KEYS[7] ~= '' then
  redis.pcall('SREM', KEYS[7], id)
end
if KEYS[8] ~= '' and redis.pcall('GET', KEYS[8]) == id then
  redis.call('DEL', KEYS[8])
end
local flow = workflow_of(KEYS[1])
redis.call('UNLINK', KEYS[1])
if flow then
  settle(flow, id) -- while it is known who waits for it
end
redis.call('UNLINK', KEYS[2], KEYS[4], KEYS[5], KEYS[6])
return exists and 'done' or ''
