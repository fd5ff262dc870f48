-- Write jobs and put each into its queue, or into the registry of scheduled ones.
-- A job whose id is there, or whose unique key another living job holds, is left
-- out. One call for many jobs; for each job in order:
--
-- KEYS[1]           set of all queues
-- KEYS[2 + 3i]      hash of the job
-- KEYS[3 + 3i]      list of its queue, or sorted set of scheduled jobs
-- KEYS[4 + 3i]      string that holds its unique key ("" where it has none)
--
-- ARGV[1]           how the key of a job hash begins
-- then for each job: id, queue key (member of KEYS[1]), "back" | "front" | score,
--                    unique ttl in ms, "end" | "ttl", number of fields * 2,
--                    field, value, field, value ...
--
-- Returns for each job: "" when it was written, or the id of the one in its way.

local ended = { finished = true, failed = true, canceled = true, stopped = true }

local function holder(unique_key, until_)
  local id = redis.call('GET', unique_key)
  if not id or until_ == 'ttl' then
    return id
  end
  local status = redis.call('HGET', ARGV[1] .. id, 'status')
  if not status or ended[status] then
    return false -- it died without giving the key back
  end
  return id
end

local answers = {}
local a = 2
for k = 2, #KEYS, 3 do
  local job_key, place, unique_key = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local id, queue_key, how = ARGV[a], ARGV[a + 1], ARGV[a + 2]
  local unique_ttl, until_, size = ARGV[a + 3], ARGV[a + 4], tonumber(ARGV[a + 5])
  local first = a + 6
  a = first + size

  local in_the_way = redis.call('EXISTS', job_key) == 1 and id
  if not in_the_way and unique_key ~= '' then
    in_the_way = holder(unique_key, until_)
  end
  if in_the_way then
    answers[#answers + 1] = in_the_way
  else
    redis.call('SADD', KEYS[1], queue_key)
    redis.call('HSET', job_key, unpack(ARGV, first, first + size - 1))
    if unique_key ~= '' then
      redis.call('SET', unique_key, id, 'PX', unique_ttl)
    end
    if how == 'back' then
      redis.call('RPUSH', place, id)
    elseif how == 'front' then
      redis.call('LPUSH', place, id)
    else
      redis.call('ZADD', place, how, id)
    end
    answers[#answers + 1] = ''
  end
end
return answers
