-- What becomes of a workflow when one of its nodes has ended. It stands in front of each
-- verb that ends a job, so that the end and what it lets go are one step. A node is ended
-- once: whoever says so a second time finds it gone from the open ones.
--
-- A workflow is, under its key: a hash (status, result, failed_by, undoing, created_at,
-- ended_at, and for lists of workflows task, the one it returns from, and size, how many
-- nodes it has but for compensations);
--   :nodes       hash: each node as JSON, by id
--   :open        set: nodes that have not ended
--   :waits:NODE  set: nodes that it waits for, and "#LINE" for a place in a line
--   :line:LINE   list: nodes of a bounded group that wait for a place
--   :undo        list: compensations that are to be sent, the next in front
--   :ends        hash: how those nodes ended that did not finish, by id: their jobs may be
--                gone before the workflow is

local KEPT_FAILED = 2592000 -- for a person who wants to retry it, in seconds
local LISTED = 10000 -- of those that have ended, for a person to look at
local ENDED = { finished = true, failed = true, stopped = true, canceled = true,
  deleted = true }
local WAITS = { queued = true, scheduled = true, deferred = true }

local function part(flow, name)
  return names.workflow .. flow .. (name or '')
end

local function node_of(flow, id)
  local written = redis.call('HGET', part(flow, ':nodes'), id)
  return written and cjson.decode(written)
end

local function status_of(id)
  local status = redis.pcall('HGET', names.job .. id, 'status')
  return type(status) == 'string' and status or 'deleted'
end

local function is_open(flow)
  return redis.call('HGET', part(flow), 'status') == 'started'
end

local function is_list(key)
  local kind = redis.call('TYPE', key).ok
  return kind == 'list' or kind == 'none'
end

local function send(id, node)
  local key, list, time = names.job .. id, names.queue .. node.queue, redis.call('TIME')
  local now = time[1] + time[2] / 1e6
  local due = node.due or node.delay and now + node.delay
  redis.call('SADD', names.queues, list)
  if due and due > now then
    redis.call('HSET', key, 'status', 'scheduled')
    redis.call('ZADD', names.scheduled .. node.queue, string.format('%.6f', due), id)
    return
  end
  local wake = names.wake .. node.queue
  redis.call('HSET', key, 'status', 'queued', 'enqueued_at', moment(time[1], time[2]))
  redis.call(node.front and 'LPUSH' or 'RPUSH', list, id)
  if redis.call('LLEN', wake) == 0 then
    redis.call('RPUSH', wake, 1)
  end
end

-- RQ's own code may have let it go before, and a person have canceled it.
local function let_go(flow, id)
  local node = node_of(flow, id)
  if node and is_list(names.queue .. node.queue)
    and redis.call('ZREM', names.deferred .. node.queue, id) == 1 then
    send(id, node)
  end
end

local function defer(id, node)
  redis.call('HSET', names.job .. id, 'status', 'deferred')
  redis.call('ZADD', names.deferred .. node.queue, redis.call('TIME')[1], id)
end

local function pass(flow, id, met)
  local waits = part(flow, ':waits:' .. id)
  if redis.call('SREM', waits, met) == 1 and redis.call('EXISTS', waits) == 0 then
    let_go(flow, id)
  end
end

-- Many at once: to look a long list through for each of them takes long.
local function take_out(list, ids)
  if not is_list(list) then
    return
  end
  local kept = {}
  for _, id in ipairs(redis.call('LRANGE', list, 0, -1)) do
    if not ids[id] then
      kept[#kept + 1] = id
    end
  end
  redis.call('DEL', list)
  for at = 1, #kept, 5000 do
    redis.call('RPUSH', list, unpack(kept, at, math.min(at + 4999, #kept)))
  end
end

-- Cancel what has not begun; return the ids of what runs.
local function cancel_waiting(flow, why)
  local running, queued, seconds = {}, {}, redis.call('TIME')[1]
  for _, id in ipairs(redis.call('SMEMBERS', part(flow, ':open'))) do
    local node, status = node_of(flow, id), status_of(id)
    if WAITS[status] and not node.undoes then
      redis.call('ZREM', names.deferred .. node.queue, id)
      redis.call('ZREM', names.scheduled .. node.queue, id)
      if status == 'queued' then
        local list = names.queue .. node.queue
        redis.call('ZREM', names.sent .. node.queue, id)
        queued[list] = queued[list] or {}
        queued[list][id] = true
      end
      redis.call('HSET', names.job .. id, 'status', 'canceled', 'exc_info', why)
      redis.call('ZADD', names.canceled .. node.queue, seconds, id)
      redis.call('SREM', part(flow, ':open'), id)
      redis.call('DEL', part(flow, ':waits:' .. id), part(flow, ':line:'
        .. (node.line or '')))
    elseif not ENDED[status] and not node.undoes then
      running[#running + 1] = id
    end
  end
  for list, ids in pairs(queued) do
    take_out(list, ids)
  end
  return running
end

-- Send a compensation, if it was not sent before.
local function undo(flow, id)
  if status_of(id) ~= 'deferred' then
    return false
  end
  redis.call('SADD', part(flow, ':open'), id)
  defer(id, node_of(flow, id))
  let_go(flow, id)
  return true
end

-- Of a workflow that has failed: one after another, each when the one before has ended.
local function undo_next(flow)
  local key = part(flow)
  while not is_open(flow) and redis.call('HEXISTS', key, 'undoing') == 0 do
    local id = redis.call('LPOP', part(flow, ':undo'))
    if not id then
      return
    elseif undo(flow, id) then
      redis.call('HSET', key, 'undoing', id)
    end
  end
end

-- How long what is left of a node is kept: as it was to be had it been no node.
local function keep(id, node, has_failed)
  local key, seconds = names.job .. id, has_failed and KEPT_FAILED or node.keep
  local status = status_of(id)
  if status == 'finished' and seconds >= 0 then
    local ends = redis.call('TIME')[1] + seconds
    redis.call('ZADD', names.finished .. node.queue, 'XX', ends, id)
  end
  local left = redis.call('TTL', key)
  if status == 'failed' or status == 'stopped' then
    if left > 0 then
      redis.call('EXPIRE', names.results .. id, left) -- RQ gives it none
    end
  elseif seconds >= 0 then
    redis.call('EXPIRE', key, math.max(seconds, 1))
    redis.call('EXPIRE', names.results .. id, math.max(seconds, 1))
  end
  for _, name in ipairs({ names.job .. id .. ':dependents',
    names.job .. ':' .. id .. ':dependencies' }) do
    redis.call('EXPIRE', name, seconds >= 0 and math.max(seconds, 1) or KEPT_FAILED)
  end
  return seconds
end

local function forget(flow, id)
  redis.call('UNLINK', names.job .. id, names.results .. id,
    names.job .. id .. ':dependents', names.job .. ':' .. id .. ':dependencies')
  redis.call('HDEL', part(flow, ':nodes'), id)
end

-- In one of the lists for people: open, failed (or canceled), finished.
local function list_as(kind, flow)
  for _, other in ipairs({ 'open', 'failed', 'finished' }) do
    redis.call('ZREM', names.listed .. other, flow)
  end
  local list, time = names.listed .. kind, redis.call('TIME')
  redis.call('ZADD', list, string.format('%.6f', time[1] + time[2] / 1e6), flow)
  if kind ~= 'open' then
    redis.call('ZREMRANGEBYSCORE', list, '-inf', time[1] - KEPT_FAILED)
    redis.call('ZREMRANGEBYRANK', list, 0, -LISTED - 1)
  end
end

local function close(flow)
  local key = part(flow)
  if redis.call('SCARD', part(flow, ':open')) > 0
    or redis.call('HEXISTS', key, 'ended_at') == 1 then
    return
  end
  local has_failed, time, longest = not is_open(flow), redis.call('TIME'), 1
  redis.call('HSET', key, 'ended_at', moment(time[1], time[2]),
    'status', has_failed and redis.call('HGET', key, 'status') or 'finished')
  local may_be_retried = has_failed or redis.call('EXISTS', part(flow, ':ends')) == 1
  local nodes = redis.call('HGETALL', part(flow, ':nodes'))
  for n = 1, #nodes, 2 do
    local node = cjson.decode(nodes[n + 1])
    if node.undoes and not may_be_retried and status_of(nodes[n]) == 'deferred' then
      forget(flow, nodes[n]) -- nothing is to be undone
    else
      local seconds = keep(nodes[n], node, has_failed)
      longest = (seconds < 0 or longest < 0) and -1 or math.max(longest, seconds)
    end
  end
  if not may_be_retried then
    redis.call('DEL', part(flow, ':undo'))
  end
  redis.call('ZREM', names.workflows, flow)
  list_as(has_failed and 'failed' or 'finished', flow)
  if longest > 0 then
    for _, name in ipairs({ '', ':nodes', ':ends', ':undo' }) do
      redis.call('EXPIRE', part(flow, name), longest)
    end
  end
end

local function let_dependents_go(flow, id, node)
  for _, other in ipairs(redis.call('SMEMBERS', names.job .. id .. ':dependents')) do
    pass(flow, other, id)
  end
  -- One that was canceled as it stood in line has no place to leave.
  local had_place = not node.line
    or redis.call('LREM', part(flow, ':line:' .. node.line), 0, id) == 0
  local next_in_line = node.leaves and (had_place or node.line ~= node.leaves)
    and redis.call('LPOP', part(flow, ':line:' .. node.leaves))
  if next_in_line then
    pass(flow, next_in_line, '#' .. node.leaves)
  end
end

local function has_gone_wrong(flow, id, node, status)
  redis.call('DEL', part(flow, ':line:' .. (node.line or '')))
  redis.call('HSET', part(flow), 'status', 'failed', 'failed_by', id)
  cancel_waiting(flow, 'canceled with its workflow: ' .. node.task .. ' (job ' .. id
    .. ') is ' .. status)
end

-- Say that a job is at its end, if its hash has it so: it may be about to run again.
local function settle(flow, id)
  local status = status_of(id)
  if not ENDED[status] or redis.call('SREM', part(flow, ':open'), id) == 0 then
    return
  end
  local node, went_well = node_of(flow, id), status == 'finished'
  local goes_on = is_open(flow)
  if not node then -- somebody has deleted what there was of the workflow
    return
  elseif node.undoes then
    if redis.call('HGET', part(flow), 'undoing') == id then
      redis.call('HDEL', part(flow), 'undoing')
    end
  else
    redis.call('DEL', part(flow, ':waits:' .. id))
    if not went_well then
      redis.call('HSET', part(flow, ':ends'), id, status)
    end
    local is_alone = goes_on and not went_well and node.continues
    if node.undo and status ~= 'canceled' and not (is_alone and undo(flow, node.undo)) then
      redis.call('LPUSH', part(flow, ':undo'), node.undo)
    end
    if goes_on and (went_well or node.continues) then
      let_dependents_go(flow, id, node)
    elseif goes_on then
      has_gone_wrong(flow, id, node, status)
    end
  end
  undo_next(flow)
  close(flow)
end

-- The workflow of a job, where it is a node of one.
local function workflow_of(key)
  local flow = redis.pcall('HGET', key, 'headway_workflow')
  return type(flow) == 'string' and flow
end
