-- Move jobs that are due into their queues, in order of due time. Any number of
-- promoters may run: each job is moved once. A queue is left alone while a scheduler of
-- RQ's own has locked it; otherwise it is locked for all of ours together.
--
-- KEYS[1]  set of all queues
-- KEYS[2]  list: ids whose key holds no job
-- then for each queue: sorted set of its scheduled jobs, its list, its wake-up list,
--                      string by which RQ's schedulers lock it
-- ARGV[1]  how the key of a job hash begins
-- ARGV[2]  how many to move at most; queues that have due jobs share it
-- ARGV[3]  what the lock says while it is ours
-- ARGV[4]  for how long it then is, in ms
--
-- Returns how many were moved; in how many microseconds the next is due, -1 for none;
-- number of the queue and id of each job that only RQ's own code can enqueue (rate
-- limits), left where they were; number, holder and rest in ms of each lock of others;
-- numbers of the queues of which a key is of another type.

local call, try = redis.call, redis.pcall
local floor = math.floor
-- A job of a rate limit takes RQ's code some milliseconds.
local MOST_LEFT = 20

local time = call('TIME')
local now, enqueued_at = time[1] + time[2] / 1e6, moment(time[1], time[2])

-- Returns who else has locked the queue.
local function locked_by(lock)
  local holder = try('GET', lock)
  if not holder then
    try('SET', lock, ARGV[3], 'PX', ARGV[4]) -- a full Redis takes it from nobody
  elseif holder ~= ARGV[3] then
    return holder
  elseif call('PTTL', lock) < ARGV[4] / 2 then
    call('PEXPIRE', lock, ARGV[4])
  end
end

local function is_list(key)
  local kind = call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end

local function due_after(scheduled)
  local first = call('ZRANGE', scheduled, 0, 0, 'WITHSCORES')
  return first[2] and first[2] - now
end

-- Writes that a job waits in its queue now, whose time to live begins anew.
local function renew(job_key, ttl)
  call('HSET', job_key, 'status', 'queued', 'enqueued_at', enqueued_at)
  ttl = tonumber(ttl or nil)
  if ttl and ttl > 0 then
    try('EXPIRE', job_key, ttl)
  end
end

-- Returns how many of a queue were moved, and the ids that only RQ can enqueue.
local function promote(scheduled, list, wake, most)
  local due = call('ZRANGEBYSCORE', scheduled, '-inf', now, 'LIMIT', 0, most)
  local gone, back, front, left = {}, {}, {}, {}
  for _, id in ipairs(due) do
    local job_key = ARGV[1] .. id
    local about = try('HMGET', job_key, 'status', 'enqueue_at_front',
      'rate_limit_key', 'ttl')
    if about.err then
      call('ZREM', scheduled, id)
      call('RPUSH', KEYS[2], id)
    elseif about[3] and about[3] ~= '' then
      left[#left + 1] = id
      if #left == MOST_LEFT then
        break
      end
    else
      if #gone == 0 then
        call('ZREM', scheduled, id) -- a full Redis takes that, and then all the rest
      end
      gone[#gone + 1] = id
      if about[1] then
        renew(job_key, about[4]) -- at once, while the processor has it at hand
        local to = about[2] == '1' and front or back
        to[#to + 1] = id
      end
    end
  end
  if #gone > 1 then
    call('ZREM', scheduled, unpack(gone))
  end
  if #back > 0 then
    call('RPUSH', list, unpack(back))
  end
  if #front > 0 then
    call('LPUSH', list, unpack(front))
  end
  local moved = #back + #front
  if moved > 0 then
    call('SADD', KEYS[1], list)
    if call('LLEN', wake) == 0 then
      call('RPUSH', wake, 1)
    end
  end
  return moved, left
end

local next_due
local function comes(after)
  if after and (not next_due or after < next_due) then
    next_due = after
  end
end

local busy, held, unfit = {}, {}, {}
for k = 3, #KEYS, 4 do
  local number = (k - 3) / 4
  local holder = locked_by(KEYS[k + 3])
  local first = try('ZRANGE', KEYS[k], 0, 0, 'WITHSCORES')
  if first.err then
    unfit[#unfit + 1] = number
  elseif type(holder) == 'string' then
    held[#held + 1] = { number, holder, call('PTTL', KEYS[k + 3]) }
  elseif first[2] and tonumber(first[2]) > now then
    comes(first[2] - now)
  elseif first[2] then
    if is_list(KEYS[k + 1]) and is_list(KEYS[k + 2]) then
      busy[#busy + 1] = k
    else
      unfit[#unfit + 1] = number
    end
  end
end

local moved, left = 0, {}
local share = math.max(1, floor(ARGV[2] / math.max(1, #busy)))
for _, k in ipairs(busy) do
  local count, ids = promote(KEYS[k], KEYS[k + 1], KEYS[k + 2], share)
  moved = moved + count
  for _, id in ipairs(ids) do
    left[#left + 1] = { (k - 3) / 4, id }
  end
  comes(due_after(KEYS[k]))
end
local micros = -1
if next_due then
  micros = math.ceil(math.max(0, math.min(next_due, 1e6)) * 1e6)
end
return { moved, micros, left, held, unfit }
