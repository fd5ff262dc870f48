-- Enqueue the job of a schedule's tick, and move the cursor of the schedule to that tick.
-- Whoever comes second finds the cursor moved. The store's own clock says what is due.
-- All moments are microseconds since 1970, as text: Lua would write them shorter.
--
-- KEYS[1]   hash of the schedule
-- KEYS[2]   sorted set: schedules by their next tick
-- KEYS[3]   sorted set: the ticks that are remembered
-- KEYS[4]   hash: what became of them
-- KEYS[5]   sorted set: ticks whose job has not ended
-- KEYS[6]   hash of the job
-- KEYS[7]   list of its queue
-- KEYS[8]   set of all queues
-- KEYS[9]   wake-up list of the queue
-- ARGV[1]   name of the schedule
-- ARGV[2]   its version
-- ARGV[3]   where its cursor is believed to be
-- ARGV[4]   the tick
-- ARGV[5]   the tick after it; empty where there is none
-- ARGV[6]   "allow", "skip", "queue" or "cancel" where the job before has not ended
-- ARGV[7]   how the key of a job hash begins
-- ARGV[8]   id of the job
-- ARGV[9]   "RPUSH", or "LPUSH" to put it in front
-- ARGV[10]  how many ticks are remembered
-- ARGV[11]  for how many microseconds a tick waits that is to be tried again
-- ARGV[12]  the grace of the schedule, in microseconds
-- then field, value, field, value ... of the job
--
-- Returns "sent", "skipped", "waits", "early" or "behind".

local FIRST = 13
local call = redis.call
-- A key of another type stops it here, while nothing is written: later, the job would
-- be there and in no queue, or sent and not remembered.
local wakes = call('LLEN', KEYS[9])
call('LLEN', KEYS[7])
call('SCARD', KEYS[8])
call('ZCARD', KEYS[2])
call('ZCARD', KEYS[3])
call('HLEN', KEYS[4])
call('ZCARD', KEYS[5])
local name, tick, following = ARGV[1], ARGV[4], ARGV[5]
local state = call('HMGET', KEYS[1], 'version', 'cursor', 'paused', 'last_job')
if state[1] ~= ARGV[2] or state[2] ~= ARGV[3] or state[3] == '1' then
  return 'behind'
end
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local now_text = time[1] .. string.format('%06d', time[2])
if now < tonumber(tick) then
  return 'early'
end

local function is_alive(id)
  local status = redis.pcall('HGET', ARGV[7] .. id, 'status')
  return status == 'queued' or status == 'started' or status == 'deferred'
    or status == 'scheduled'
end

local function remember(record)
  record.due = tick
  call('HSET', KEYS[4], tick, cjson.encode(record))
  call('ZADD', KEYS[3], tick, tick)
  local surplus = call('ZCARD', KEYS[3]) - ARGV[10]
  if surplus > 0 then
    -- Some at a time: Lua unpacks no more than 8000.
    local oldest = call('ZRANGE', KEYS[3], 0, math.min(surplus, 1000) - 1)
    call('ZREM', KEYS[3], unpack(oldest))
    call('HDEL', KEYS[4], unpack(oldest))
  end
end

local function move_on()
  call('HSET', KEYS[1], 'cursor', tick)
  if following == '' then
    call('ZREM', KEYS[2], name)
  else
    call('ZADD', KEYS[2], following, name)
  end
  if following == '' or tonumber(following) > now then
    call('HDEL', KEYS[1], 'waiting')
  end
end

-- Since when ticks wait, and how long nobody was there meanwhile: `still_waiting` of
-- timetable.py, which says the same, tells what for.
local function still_waiting()
  local found = {}
  for moment in string.gmatch(call('HGET', KEYS[1], 'waiting') or '', '%d+') do
    found[#found + 1] = moment
  end
  local since, asked, from, to = unpack(found)
  if not asked or tonumber(tick) > tonumber(asked) then
    return tick .. ' ' .. now_text
  end
  if now - asked > tonumber(ARGV[12]) then
    from, to = from or asked, string.format('%.0f', now - ARGV[12])
  end
  return table.concat({ since, now_text, from, to }, ' ')
end

local last = state[4]
if last and (ARGV[6] == 'skip' or ARGV[6] == 'queue') and is_alive(last) then
  if ARGV[6] == 'queue' then
    call('HSET', KEYS[1], 'waiting', still_waiting())
    call('ZADD', KEYS[2], string.format('%.0f', now + ARGV[11]), name)
    return 'waits'
  end
  remember({ outcome = 'missed', count = 1,
    reason = 'job ' .. last .. " had not ended: overlap='skip'" })
  move_on()
  return 'skipped'
end

-- One that is there was sent by a schedule of this name that was removed since.
if call('EXISTS', KEYS[6]) == 0 then
  call('HSET', KEYS[6], unpack(ARGV, FIRST))
  call('SADD', KEYS[8], KEYS[7])
  call(ARGV[9], KEYS[7], ARGV[8])
  if wakes == 0 then
    call('RPUSH', KEYS[9], 1)
  end
end
remember({ job = ARGV[8], sent = now_text, outcome = 'queued' })
call('ZADD', KEYS[5], string.format('%.0f', now + 1000000), name .. ':' .. tick)
call('HSET', KEYS[1], 'last_job', ARGV[8])
move_on()
return 'sent'
