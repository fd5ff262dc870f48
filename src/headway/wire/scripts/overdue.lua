-- Find jobs whose message the engine seems to have lost, and put them back into the list
-- that they are sent from: the engine has nothing left of the queue, or workers were
-- given jobs that were sent long after. A message that comes all the same does no harm:
-- who takes the job first has it.
--
-- KEYS[1]  list of the queue: what is to be sent
-- KEYS[2]  sorted set: what was sent, by the second
-- KEYS[3]  hash: when the latest job was sent that a worker was given, by queue
-- ARGV[1]  name of the queue
-- ARGV[2]  whether the engine has nothing left of it, "1" or "0"
-- ARGV[3]  for how many seconds a message is given time
-- ARGV[4]  how many jobs at most
--
-- Returns their ids.

local call = redis.call
local time = call('TIME')
local before = time[1] - ARGV[3]
if ARGV[2] ~= '1' then
  before = math.min(before, (tonumber(call('HGET', KEYS[3], ARGV[1]) or 0) or 0) - ARGV[3])
end
local ids = call('ZRANGEBYSCORE', KEYS[2], '-inf', before, 'LIMIT', 0, ARGV[4])
if #ids > 0 then
  call('ZREM', KEYS[2], unpack(ids))
  call('RPUSH', KEYS[1], unpack(ids))
end
return ids
