-- Show running jobs in RQ's own registries, for RQ's own eyes, or keep them there.
-- Jobs that are over at once are never shown: it would double what they cost.
--
-- KEYS[1]  hash: the lease of the child, `ordinal:queue` by id
-- KEYS[2]  set: `job:execution` of what its worker runs
-- ARGV[1]  name of the worker
-- ARGV[2]  how the key of a job hash begins
-- ARGV[3]  ... of a sorted set of started jobs
-- ARGV[4]  ... of an execution's hash
-- ARGV[5]  ... of the sorted set of a job's executions
-- ARGV[6]  how the id of an execution begins; the ordinal in 16 digits ends it
-- ARGV[7]  for how many seconds they are shown unless that is renewed
-- ARGV[8]  the time as RQ writes it
-- ARGV[9]  the same in seconds since 1970
-- then for each job: ordinal, when it began in seconds since 1970

local ids = {}
local held = redis.call('HGETALL', KEYS[1])
for h = 1, #held, 2 do
  local ordinal, queue = string.match(held[h + 1], '^(%d+):(.*)$')
  ids[ordinal] = { held[h], queue }
end
local shown = 0
for a = 10, #ARGV, 2 do
  if ids[ARGV[a]] then
    local id, queue = unpack(ids[ARGV[a]])
    local execution = ARGV[6] .. string.format('%016x', ARGV[a])
    local both = id .. ':' .. execution
    redis.call('HSET', ARGV[4] .. both, 'id', execution, 'job_id', id, 'created_at',
      ARGV[a + 1], 'last_heartbeat', ARGV[9], 'worker_name', ARGV[1])
    redis.call('EXPIRE', ARGV[4] .. both, ARGV[7])
    redis.call('ZADD', ARGV[3] .. queue, math.floor(ARGV[9]) + ARGV[7], both)
    redis.call('ZADD', ARGV[5] .. id, math.floor(ARGV[9]) + ARGV[7] + 60, execution)
    redis.call('EXPIRE', ARGV[5] .. id, ARGV[7] + 60)
    redis.call('SADD', KEYS[2], both)
    redis.call('EXPIRE', KEYS[2], ARGV[7] + 60)
    if redis.call('EXISTS', ARGV[2] .. id) == 1 then
      redis.call('HSET', ARGV[2] .. id, 'last_heartbeat', ARGV[8])
    end
    shown = shown + 1
  end
end
return shown
