-- Take over a job that a worker of RQ's own has left behind: what it had begun goes into
-- a lease of ours, to be recovered like any other; the rest goes back to its queue.
--
-- KEYS[1]   sorted set of started jobs, `job:execution`
-- KEYS[2]   list of the jobs that RQ's workers have popped and not begun
-- KEYS[3]   list of the queue
-- KEYS[4]   its wake-up list
-- KEYS[5]   hash of the job
-- KEYS[6]   hash of the execution
-- KEYS[7]   sorted set of the job's executions
-- KEYS[8]   set: `job:execution` of what the worker runs
-- KEYS[9]   hash: the lease, `ordinal:queue` by id
-- KEYS[10]  sorted set: children by the millisecond at which their lease ends
-- ARGV[1]   id of the job
-- ARGV[2]   id of the execution; empty where there is none
-- ARGV[3]   name of the queue
-- ARGV[4]   whose lease it is
-- ARGV[5]   ordinal
--
-- Returns "begun", "requeued" or "gone".

local call = redis.call
local id, execution = ARGV[1], ARGV[2]
local kind = call('TYPE', KEYS[3]).ok
if kind ~= 'list' and kind ~= 'none' then
  return 'gone' -- its key may be mended
end
if execution ~= '' then
  local both = id .. ':' .. execution
  if call('ZREM', KEYS[1], both) == 0 then
    return 'gone' -- its worker has ended it meanwhile, or another has taken it over
  end
  call('DEL', KEYS[6])
  call('ZREM', KEYS[7], execution)
  call('SREM', KEYS[8], both)
  if call('ZCARD', KEYS[7]) > 0 then
    return 'gone' -- another runs it by now
  end
end
local was_popped = call('LREM', KEYS[2], 0, id) > 0
if execution == '' and not was_popped then
  return 'gone'
end
local status = redis.pcall('HGET', KEYS[5], 'status')
if status == 'started' then
  call('HSET', KEYS[9], id, ARGV[5] .. ':' .. ARGV[3])
  call('ZADD', KEYS[10], 0, ARGV[4])
  return 'begun'
elseif status ~= 'queued' then
  return 'gone'
end
if was_popped or not call('LPOS', KEYS[3], id) then
  call('LPUSH', KEYS[3], id)
  if call('LLEN', KEYS[4]) == 0 then
    call('RPUSH', KEYS[4], 1)
  end
end
return 'requeued'
