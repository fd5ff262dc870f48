-- Take jobs of the first queue that has any, under a lease: each is moved out of its
-- list, marked as started, counted as delivered and returned, or none of that.
--
-- KEYS[1]       hash: the lease of this child, `ordinal:queue` by id
-- KEYS[2]       sorted set: children by the millisecond at which their lease ends
-- KEYS[3]       string: there while all workers are suspended
-- KEYS[4]       set: names of paused queues
-- KEYS[5]       list: ids whose key holds no job
-- KEYS[6]       string: the least ordinal that the child has not given up
-- KEYS[7 + 3q]  list of a queue, in order of urgency
-- KEYS[8 + 3q]  its wake-up list
-- KEYS[9 + 3q]  set of the workers that serve it
--
-- ARGV[1]       the child, as member of KEYS[2]
-- ARGV[2]       how long the lease is, in milliseconds
-- ARGV[3]       how many jobs at most
-- ARGV[4]       ordinal of the first of them
-- ARGV[5]       name of the worker
-- ARGV[6]       how the key of a job hash begins
-- ARGV[7 + 2q]  name of a queue
-- ARGV[8 + 2q]  how many of its jobs at most
--
-- Returns "suspended", or the name of the queue (nil where all are empty), then for
-- each job, numbered from ARGV[4] on: id, delivery, data, timeout, result_ttl, meta,
-- number_of_retries, and where only RQ's own code can run it, all its fields.

local call, pcall = redis.call, redis.pcall
local wanted = tonumber(ARGV[3])

-- A job that has ended a worker before is run alone, so that it can cost only itself.
local function is_suspect(fields)
  return (tonumber(fields[5] or 0) or 0) > 0
end

-- A key of another type holds no jobs; the supervisor says so.
local function length_of(list)
  local length = pcall('LLEN', list)
  return type(length) == 'number' and length or 0
end

local function share_of(waiting, workers_key, limit)
  local fair = math.ceil(waiting / math.max(1, call('SCARD', workers_key)))
  return math.min(wanted, limit, fair)
end

-- By the server's clock: this may have been asked seconds ago, behind a wait.
local time = call('TIME')
local now = moment(tonumber(time[1]), tonumber(time[2]))

local function take(list, name, count, jobs, leased)
  for _, id in ipairs(call('LPOP', list, count) or {}) do
    local key = ARGV[6] .. id
    local fields = pcall('HMGET', key, 'data', 'timeout', 'result_ttl', 'meta',
      'headway_crashes', 'number_of_retries', 'headway_delivery', 'ttl',
      unpack(UNUSUAL))
    if fields.err or not string.find(id, '^[\33-\126]+$') then -- no id that RQ would make
      call('RPUSH', KEYS[5], id)
    elseif fields[1] or call('EXISTS', key) == 1 then
      if jobs.alone or (#jobs > 0 and is_suspect(fields)) then
        jobs.back = jobs.back or {}
        table.insert(jobs.back, 1, id)
        jobs.alone = true
      else
        jobs.alone = is_suspect(fields)
        local delivery = begin(key, ARGV[5], now, fields[7], fields[8])
        leased[#leased + 1] = id
        leased[#leased + 1] = ARGV[4] + #jobs .. ':' .. name
        local job = { id, delivery, fields[1] or '', fields[2] or '', fields[3] or '',
          fields[4] or '', fields[6] or '' }
        if is_unusual(fields, 9) then
          job[8] = call('HGETALL', key)
        end
        jobs[#jobs + 1] = job
      end
    end
  end
  if jobs.back then
    call('LPUSH', list, unpack(jobs.back))
  end
end

if call('EXISTS', KEYS[3]) == 1 then
  return 'suspended'
end
-- Of a child that is dead, or what a network has kept for long: the child has asked anew
-- since, and would not know of these jobs. All that it does is to wake another.
local is_void = tonumber(ARGV[4]) < tonumber(call('GET', KEYS[6]) or 0)
local paused = {}
for _, name in ipairs(call('SMEMBERS', KEYS[4])) do
  paused[name] = true
end

local jobs, leased, found = {}, {}, false
local queues = (#KEYS - 6) / 3
for q = 0, queues - 1 do
  local list, wake, workers = KEYS[7 + 3 * q], KEYS[8 + 3 * q], KEYS[9 + 3 * q]
  local name, limit = ARGV[7 + 2 * q], tonumber(ARGV[8 + 2 * q])
  local waiting = paused[name] and 0 or length_of(list)
  -- More than once where ids have no job any more: they are passed over.
  while waiting > 0 and #jobs == 0 and not is_void do
    take(list, name, share_of(waiting, workers, limit), jobs, leased)
    waiting = call('LLEN', list)
  end
  if waiting == 0 then
    call('DEL', wake)
  elseif call('LLEN', wake) == 0 then
    call('RPUSH', wake, 1) -- the next idle worker's turn
  end
  if #jobs > 0 then
    found = name
    break
  end
end
if #jobs == 0 then
  return {}
end
call('HSET', KEYS[1], unpack(leased))
call('ZADD', KEYS[2], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
return { found, unpack(jobs) }
