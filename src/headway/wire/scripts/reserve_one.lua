-- Take one job, which an engine hands over by its id, under a lease: as reserve.lua does
-- with those of RQ's lists. Only who finds it sent, or about to be, has it: a second copy
-- of the engine's message finds nothing to do. While its queue is paused it goes back to
-- where it is sent from, and is sent again afterwards.
--
-- KEYS[1]  hash of the job
-- KEYS[2]  hash: the lease of this child, `ordinal:queue` by id
-- KEYS[3]  sorted set: children by the millisecond at which their lease ends
-- KEYS[4]  string: there while all workers are suspended
-- KEYS[5]  set: names of paused queues
-- KEYS[6]  hash: when the latest job was sent that a worker was given, by queue
-- ARGV[1]  the child, as member of KEYS[3]
-- ARGV[2]  how long the lease is, in milliseconds
-- ARGV[3]  ordinal of the job
-- ARGV[4]  name of the worker
-- ARGV[5]  id
-- ARGV[6]  how the key of a queue's list begins
-- ARGV[7]  ... of the sorted set of those that were sent
--
-- Returns queue, id, delivery, data, timeout, result_ttl, meta, number_of_retries, and
-- where only RQ's own code can run it, all its fields; or nothing.

local call, pcall = redis.call, redis.pcall
local id = ARGV[5]
local fields = pcall('HMGET', KEYS[1], 'data', 'timeout', 'result_ttl', 'meta',
  'number_of_retries', 'headway_delivery', 'ttl', 'status', 'origin', unpack(UNUSUAL))
if fields.err or not fields[9] then
  return nil
end
local status, queue = fields[8], fields[9]

local function told(delivery)
  local job = { queue, id, delivery, fields[1] or '', fields[2] or '', fields[3] or '',
    fields[4] or '', fields[5] or '' }
  if is_unusual(fields, 10) then
    job[9] = call('HGETALL', KEYS[1])
  end
  return job
end

local held = ARGV[3] .. ':' .. queue
if status == 'started' and call('HGET', KEYS[2], id) == held then
  return told(tonumber(fields[6])) -- the answer to the same question was lost
elseif status ~= 'queued' then
  return nil
end

local list, sent = ARGV[6] .. queue, ARGV[7] .. queue
local sent_at = call('ZSCORE', sent, id)
if call('EXISTS', KEYS[4]) == 1 or call('SISMEMBER', KEYS[5], queue) == 1 then
  if call('ZREM', sent, id) == 1 then
    call('RPUSH', list, id)
  end
  return nil
elseif not sent_at and call('LREM', list, 1, id) == 0 then
  return nil
elseif sent_at then
  call('ZREM', sent, id)
  if tonumber(sent_at) > tonumber(call('HGET', KEYS[6], queue) or 0) then
    call('HSET', KEYS[6], queue, sent_at)
  end
end

local time = call('TIME')
local now = moment(tonumber(time[1]), tonumber(time[2]))
local delivery = begin(KEYS[1], ARGV[4], now, fields[6], fields[7])
call('HSET', KEYS[2], id, held)
call('ZADD', KEYS[3], time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2], ARGV[1])
return told(delivery)
