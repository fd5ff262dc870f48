-- Have rq-scheduler not send a job that it has.
--
-- KEYS[1]  sorted set: rq-scheduler's jobs by the second at which they are due
-- KEYS[2]  hash of the job
-- ARGV[1]  id
--
-- Returns how many were taken away: 1, or 0 where it had none of that id.

local had = redis.call('ZREM', KEYS[1], ARGV[1])
-- One that has run is the record of that, and may be in a queue.
if had == 1 and redis.pcall('HGET', KEYS[2], 'status') == 'scheduled' then
  redis.call('DEL', KEYS[2])
end
return had
