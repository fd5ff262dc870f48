-- Free what a string says that somebody holds, if they still do: a unique key that a
-- job has, a queue that a scheduler has.
--
-- KEYS[1]  string that names the holder
-- ARGV[1]  who that is to be

if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
