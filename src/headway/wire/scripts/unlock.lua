-- Give a unique key back, if this job still holds it.
--
-- KEYS[1]  string that holds the unique key
-- ARGV[1]  id of the job

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
