-- Give back the jobs of a child that is dead, or whose lease ran out. A crash is not a
-- failure of the job: it spends no retry; but a job that has ended too many workers
-- goes to the failed ones, with the reason.
--
-- KEYS[1]   hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]   sorted set: children by the millisecond at which their lease ends
-- ARGV[1]   the child
-- ARGV[2]   "dead": we know; "late": only if its lease has run out
-- ARGV[3]   how many workers a job may end before it is failed
-- ARGV[4]   the reason, as RQ writes it into a result
-- ARGV[5]   the time as RQ writes it
-- ARGV[6]   the same in seconds since 1970
-- ARGV[7]   name of the worker ("" where it is not known)
-- ARGV[8]   how the id of an execution begins
-- ARGV[9]   for how many seconds a failed job is kept where it does not say
-- ARGV[10]  how the key of a job hash begins
-- ARGV[11]  ... of a queue's list
-- ARGV[12]  ... of a queue's wake-up list
-- ARGV[13]  ... of a sorted set of started jobs
-- ARGV[14]  ... of a sorted set of failed jobs
-- ARGV[15]  ... of a stream of results
-- ARGV[16]  ... of an execution's hash
-- ARGV[17]  ... of the sorted set of a job's executions
-- then the ordinals of the jobs that had begun; "*" where nobody knows: all of them;
--           with a minus in front those that are left in the lease for the moment
--
-- Returns for each job: id, queue, "requeued" | "failed" | "gone", how often it crashed.

local begun, all, left = {}, false, 0
for a = 18, #ARGV do
  begun[ARGV[a]] = true
  left = left + (string.sub(ARGV[a], 1, 1) == '-' and 1 or 0)
  all = all or ARGV[a] == '*'
end
if ARGV[2] == 'late' then
  local time = redis.call('TIME')
  local ends = redis.call('ZSCORE', KEYS[2], ARGV[1])
  if not ends or tonumber(ends) > time[1] * 1000 + math.floor(time[2] / 1000) then
    return {}
  end
end

local function drop_execution(id, ordinal, queue)
  local execution = ARGV[8] .. string.format('%016x', ordinal)
  local both = id .. ':' .. execution
  redis.call('DEL', ARGV[16] .. both)
  redis.call('ZREM', ARGV[13] .. queue, both)
  redis.call('ZREM', ARGV[17] .. id, execution)
end

local function fail(key, id, queue)
  local ttl = tonumber(redis.call('HGET', key, 'failure_ttl') or '') or tonumber(ARGV[9])
  redis.call('HSET', key, 'status', 'failed', 'ended_at', ARGV[5])
  redis.call('XADD', ARGV[15] .. id, 'MAXLEN', '~', 10, '*', 'type', 2,
    'worker_name', ARGV[7], 'exc_string', ARGV[4])
  redis.call('ZADD', ARGV[14] .. queue, ttl < 0 and ttl or ARGV[6] + ttl, id)
  if ttl > 0 then
    redis.call('EXPIRE', key, ttl)
    redis.call('EXPIRE', ARGV[15] .. id, ttl)
  end
end

local jobs, answers = {}, {}
local held = redis.call('HGETALL', KEYS[1])
for h = 1, #held, 2 do
  local ordinal, queue = string.match(held[h + 1], '^(%d+):(.*)$')
  jobs[#jobs + 1] = { id = held[h], ordinal = tonumber(ordinal), queue = queue }
end
table.sort(jobs, function(one, other) return one.ordinal > other.ordinal end)
local function give_back(job)
  local key, fate, crashes = ARGV[10] .. job.id, 'gone', 0
  drop_execution(job.id, job.ordinal, job.queue)
  if redis.pcall('HGET', key, 'status') == 'started' then
    if all or begun[tostring(job.ordinal)] then
      crashes = (tonumber(redis.call('HGET', key, 'headway_crashes') or 0) or 0) + 1
      redis.call('HSET', key, 'headway_crashes', crashes)
    end
    if crashes >= tonumber(ARGV[3]) then
      fail(key, job.id, job.queue)
      fate = 'failed'
    else
      redis.call('HSET', key, 'status', 'queued', 'worker_name', '')
      redis.call('LPUSH', ARGV[11] .. job.queue, job.id)
      if redis.call('LLEN', ARGV[12] .. job.queue) == 0 then
        redis.call('RPUSH', ARGV[12] .. job.queue, 1)
      end
      fate = 'requeued'
    end
  end
  redis.call('HDEL', KEYS[1], job.id)
  answers[#answers + 1] = { job.id, job.queue, fate, crashes }
end

for _, job in ipairs(jobs) do
  if not begun['-' .. job.ordinal] then
    give_back(job)
  end
end
if left == 0 then
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return answers
