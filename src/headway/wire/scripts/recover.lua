-- Give back the jobs of a child that is dead, or whose lease ran out. A crash is not a
-- failure of the job: it spends no retry. What the application has to decide (a job that
-- has ended too many workers, or one that may not run twice) is left in the lease, which
-- is prolonged, for whoever recovers it to hand to the application's own code. Where that
-- is one that was broken off, its hash says so of this very execution: should that code
-- not come to it, the next to recover it counts no crash either.
--
-- KEYS[1]   hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]   sorted set: children by the millisecond at which their lease ends
-- KEYS[3]   list: ids whose key holds no job
-- KEYS[4]   string: there for a while after this, so that one who lives on hears of it
-- KEYS[5]   string: the least ordinal that the child has not given up
-- KEYS[6]   set: `job:execution` of what its worker runs
-- ARGV[1]   the child
-- ARGV[2]   "dead": we know; "ended": by us, which no job of it is to blame for; "late":
--           only if its lease has run out
-- ARGV[3]   how many workers a job may end
-- ARGV[4]   what has become of this one, as a line for people
-- ARGV[5]   for how many milliseconds what is left stays leased
-- ARGV[6]   how the id of an execution begins
-- ARGV[7]   how the key of a job hash begins
-- ARGV[8]   ... of a queue's list
-- ARGV[9]   ... of a queue's wake-up list
-- ARGV[10]  ... of a sorted set of started jobs
-- ARGV[11]  ... of an execution's hash
-- ARGV[12]  ... of the sorted set of a job's executions
-- then the ordinals of the jobs that had begun; "*" where nobody knows: all of them;
--           with a minus in front those that are left in the lease whatever they are
--
-- Returns for each job that was not left so: id, queue, "requeued" | "left" |
-- "broken off" (and left) | "gone", how often it crashed, its ordinal.

local FIRST, STORY_LINES = 13, 10
local NEVER = '9007199254740992' -- no child counts so far
local call, pcall = redis.call, redis.pcall
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] ~= 'late' then
  -- It may have died as it waited for a job, and its reservation be still under way.
  call('SET', KEYS[5], NEVER, 'EX', 86400)
else
  local ends = call('ZSCORE', KEYS[2], ARGV[1])
  if not ends or tonumber(ends) > now then
    return {}
  end
end

local begun, all, is_left = {}, false, false
for a = FIRST, #ARGV do
  begun[ARGV[a]] = true
  is_left = is_left or string.sub(ARGV[a], 1, 1) == '-'
  all = all or ARGV[a] == '*'
end

local function execution_of(job)
  return ARGV[6] .. string.format('%016x', job.ordinal)
end

local function drop_execution(job)
  local execution = execution_of(job)
  local both = job.id .. ':' .. execution
  call('DEL', ARGV[11] .. both)
  pcall('ZREM', ARGV[10] .. job.queue, both)
  pcall('ZREM', ARGV[12] .. job.id, execution)
  call('SREM', KEYS[6], both)
end

-- Count a crash and write down how it was; return how many there have been.
local function count_crash(key)
  local before = call('HMGET', key, 'headway_crashes', 'headway_story')
  local crashes, lines = (tonumber(before[1] or 0) or 0) + 1, {}
  for line in string.gmatch(before[2] or '', '[^\n]+') do
    lines[#lines + 1] = line
  end
  lines[#lines + 1] = ARGV[4]
  local first = math.max(1, #lines - STORY_LINES + 1)
  call('HSET', key, 'headway_crashes', crashes,
    'headway_story', table.concat(lines, '\n', first))
  return crashes
end

local function put_back(job, key)
  local list, wake = ARGV[8] .. job.queue, ARGV[9] .. job.queue
  if type(pcall('LPUSH', list, job.id)) == 'table' then
    return false -- the queue's key holds something else: it may be mended
  end
  call('HSET', key, 'status', 'queued', 'worker_name', '')
  if call('LLEN', wake) == 0 then
    call('RPUSH', wake, 1)
  end
  return true
end

local function fate_of(job, key)
  local about = pcall('HMGET', key, 'status', 'headway_on_orphan', 'headway_broken_off')
  if about.err then
    call('RPUSH', KEYS[3], job.id)
    return 'gone', 0
  elseif about[1] ~= 'started' then
    return 'gone', 0
  end
  local was_ended, may_run_twice = ARGV[2] == 'ended', not about[2]
  local had_begun = all or begun[tostring(job.ordinal)]
  if not had_begun or (was_ended and may_run_twice) then
    return put_back(job, key) and 'requeued' or 'left', 0
  elseif string.match(about[3] or '', '^%S+') == execution_of(job) then
    return 'broken off', 0
  elseif was_ended then
    call('HSET', key, 'headway_broken_off', execution_of(job) .. ' ' .. ARGV[4])
    return 'broken off', 0
  end
  local crashes = count_crash(key)
  if crashes >= tonumber(ARGV[3]) or not may_run_twice then
    return 'left', crashes
  end
  return put_back(job, key) and 'requeued' or 'left', crashes
end

local jobs, answers = {}, {}
local held = call('HGETALL', KEYS[1])
for h = 1, #held, 2 do
  local ordinal, queue = string.match(held[h + 1], '^(%d+):(.*)$')
  jobs[#jobs + 1] = { id = held[h], ordinal = tonumber(ordinal), queue = queue }
end
table.sort(jobs, function(one, other) return one.ordinal > other.ordinal end)
for _, job in ipairs(jobs) do
  if not begun['-' .. job.ordinal] then
    local fate, crashes = fate_of(job, ARGV[7] .. job.id)
    if fate == 'left' or fate == 'broken off' then
      is_left = true
    else
      drop_execution(job)
      call('HDEL', KEYS[1], job.id)
    end
    answers[#answers + 1] = { job.id, job.queue, fate, crashes, job.ordinal }
  end
end
if #answers > 0 then
  call('SET', KEYS[4], 1, 'EX', 3600)
end
if is_left then
  call('ZADD', KEYS[2], now + ARGV[5], ARGV[1])
else
  call('ZREM', KEYS[2], ARGV[1])
end
return answers
