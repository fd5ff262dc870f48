-- Save what a running job says of itself, while it holds its lease.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  hash of the job
-- ARGV[1]  id
-- ARGV[2]  ordinal
-- ARGV[3]  the job's new meta
--
-- Returns 1 when it was saved.

local ordinal = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+):')
if ordinal ~= ARGV[2] or redis.call('EXISTS', KEYS[2]) == 0 then
  return 0
end
redis.call('HSET', KEYS[2], 'meta', ARGV[3])
return 1
