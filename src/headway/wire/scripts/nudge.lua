-- Wake an idle worker for jobs that came without a wake-up: stock producers send none.
--
-- KEYS[1]       set: names of paused queues
-- KEYS[2 + 2q]  list of a queue
-- KEYS[3 + 2q]  its wake-up list
-- ARGV[1 + q]   its name

for q = 1, #ARGV do
  local list, wake = KEYS[2 * q], KEYS[2 * q + 1]
  local waiting = redis.pcall('LLEN', list) -- a key of another type holds no jobs
  if type(waiting) == 'number' and waiting > 0 and redis.call('LLEN', wake) == 0
    and redis.call('SISMEMBER', KEYS[1], ARGV[q]) == 0 then
    redis.call('RPUSH', wake, 1)
  end
end
