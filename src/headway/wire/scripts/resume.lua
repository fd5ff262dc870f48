-- Tell a child what it holds, after an answer was lost, and let no reservation be made
-- any more that it has sent before: a network may deliver one minutes later.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  string: the least ordinal that the child has not given up
-- ARGV[1]  that ordinal
--
-- Returns the hash.

redis.call('SET', KEYS[2], ARGV[1], 'EX', 86400) -- no network keeps anything for a day
return redis.call('HGETALL', KEYS[1])
