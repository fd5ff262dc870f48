-- Wake an idle worker for jobs that came without a wake-up: stock producers send none.
--
-- KEYS[1 + 2q]  list of a queue
-- KEYS[2 + 2q]  its wake-up list

for k = 1, #KEYS, 2 do
  if redis.call('LLEN', KEYS[k]) > 0 and redis.call('LLEN', KEYS[k + 1]) == 0 then
    redis.call('RPUSH', KEYS[k + 1], 1)
  end
end
