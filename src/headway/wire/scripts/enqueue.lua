-- Write jobs and put each into its queue, or into the registry of scheduled ones.
-- A job whose id is there, or whose unique key another living job holds, is left
-- out. Jobs come in groups: those of a group differ in id, payload and description.
-- What they share is written once, as a form, and copied: that takes half as long as
-- writing all fields of each, and COPY leaves alone what is there.
--
-- KEYS[1]  set of all queues
-- KEYS[2]  hash for the form; one that is there was left by a run that failed
-- then for each group: list of the queue, or sorted set of scheduled jobs,
--                      wake-up list of the queue ("" for scheduled jobs),
--                      string that holds the unique key ("" where there is none),
--                      hash of each of its jobs
--
-- ARGV[1]  how the key of a job hash begins
-- then for each group: number of jobs, queue key (member of KEYS[1]),
--                      "back" | "front" | score, unique ttl in ms, "end" | "ttl",
--                      number of fields * 2, field, value, field, value ...,
--                      payload and description of each of its jobs
--
-- Returns for each job that was not written: its place among all, the id of the one
-- in its way. That is its own where the same call was sent before.

local ended = { finished = true, failed = true, canceled = true, stopped = true }
local call, length_of_prefix = redis.call, #ARGV[1]

local function holder(unique_key, until_)
  local id = call('GET', unique_key)
  if not id or until_ == 'ttl' then
    return id
  end
  local status = call('HGET', ARGV[1] .. id, 'status')
  if not status or ended[status] then
    return false -- it died without giving the key back
  end
  return id
end

local function put(place, how, ids)
  if how == 'back' then
    call('RPUSH', place, unpack(ids))
  elseif how == 'front' then
    call('LPUSH', place, unpack(ids))
  else
    for _, id in ipairs(ids) do
      call('ZADD', place, how, id)
    end
  end
end

local form, refused, number = KEYS[2], {}, 0
local k, a = 3, 2
call('DEL', form)
while k <= #KEYS do
  local place, wake, unique_key = KEYS[k], KEYS[k + 1], KEYS[k + 2]
  local jobs, queue_key, how = tonumber(ARGV[a]), ARGV[a + 1], ARGV[a + 2]
  local unique_ttl, until_, size = ARGV[a + 3], ARGV[a + 4], tonumber(ARGV[a + 5])
  call('HSET', form, unpack(ARGV, a + 6, a + 5 + size))
  k, a = k + 3, a + 6 + size

  local ids = {}
  for j = 0, jobs - 1 do
    local job_key = KEYS[k + j]
    local id = string.sub(job_key, length_of_prefix + 1)
    local in_the_way
    if unique_key ~= '' then
      in_the_way = call('EXISTS', job_key) == 1 and id or holder(unique_key, until_)
    end
    if not in_the_way and call('COPY', form, job_key) == 0 then
      in_the_way = id
    end
    if in_the_way then
      refused[#refused + 1] = number + j
      refused[#refused + 1] = in_the_way
    else
      call('HSET', job_key, 'data', ARGV[a + 2 * j], 'description', ARGV[a + 2 * j + 1])
      if unique_key ~= '' then
        call('SET', unique_key, id, 'PX', unique_ttl)
      end
      ids[#ids + 1] = id
    end
  end
  call('DEL', form)
  k, a, number = k + jobs, a + 2 * jobs, number + jobs

  if #ids > 0 then
    call('SADD', KEYS[1], queue_key)
    put(place, how, ids)
    if wake ~= '' and call('LLEN', wake) == 0 then
      call('RPUSH', wake, 1)
    end
  end
end
return refused
