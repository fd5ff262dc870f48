-- Behind workflow.lua, where a workflow that has ended is to go on.

local function children_of(nodes)
  local children = {}
  for id, node in pairs(nodes) do
    for _, parent in ipairs(node.parents) do
      children[parent] = children[parent] or {}
      table.insert(children[parent], id)
    end
  end
  return children
end

-- Add what has finished behind a failure: it was given that in the place of a result.
-- Returns whether all of it can be sent again: what a node has asked for is there once.
local function add_behind(failed, again, nodes)
  local children, known = children_of(nodes), {}
  while #failed > 0 do
    for _, id in ipairs(children[table.remove(failed)] or {}) do
      if not known[id] then
        known[id], again[id] = true, nodes[id]
        failed[#failed + 1] = id
        if status_of(id) == 'finished'
          and redis.call('HEXISTS', names.job .. id, 'headway_became') == 1 then
          return false
        end
      end
    end
  end
  return true
end

-- Returns the nodes to be run again by id; or nothing, and why that cannot be.
local function to_be_run_again(nodes)
  local again, failed = {}, {}
  for id, node in pairs(nodes) do
    local status = status_of(id)
    if status == 'deleted' then
      return nil, 'gone'
    elseif not node.undoes and status ~= 'finished' then
      again[id] = node
      failed[#failed + 1] = id
    elseif node.undo and status_of(node.undo) ~= 'deferred' then
      again[id] = node
    end
  end
  if not add_behind(failed, again, nodes) then
    return nil, 'grown'
  end
  return again
end

local function begin_anew(id, node)
  local key = names.job .. id
  redis.call('ZREM', names.failed .. node.queue, id)
  redis.call('ZREM', names.canceled .. node.queue, id)
  redis.call('ZREM', names.finished .. node.queue, id)
  redis.call('HDEL', key, 'number_of_retries', 'exc_info', 'worker_name',
    'headway_crashes', 'headway_story', 'headway_superseded', 'headway_delivery',
    'headway_broken_off')
  redis.call('HSET', key, 'status', 'deferred', 'started_at', '', 'ended_at', '')
end

-- As many as are free keep their places; the others stand in line.
local function stand_in_line(flow, again)
  local busy, entering = {}, {}
  for id, node in pairs(again) do
    if node.leaves then
      busy[node.leaves] = (busy[node.leaves] or 0) + 1
    end
    if node.line then
      entering[node.line] = entering[node.line] or {}
      table.insert(entering[node.line], id)
    end
  end
  for line, ids in pairs(entering) do
    table.sort(ids)
    local limit = again[ids[1]].limit
    local free = limit - (busy[line] - #ids)
    for n = math.max(0, free) + 1, #ids do
      redis.call('SADD', part(flow, ':waits:' .. ids[n]), '#' .. line)
      redis.call('RPUSH', part(flow, ':line:' .. line), ids[n])
    end
  end
end

-- From the argument `first` on there are id and new meta of nodes that could not begin
-- any more.
local function reopen(flow, first)
  local key, nodes = part(flow), {}
  local status, ended_at = unpack(redis.call('HMGET', key, 'status', 'ended_at'))
  if not status or not ended_at
    or (status == 'finished' and redis.call('EXISTS', part(flow, ':ends')) == 0) then
    return status or ''
  end
  local written = redis.call('HGETALL', part(flow, ':nodes'))
  for n = 1, #written, 2 do
    nodes[written[n]] = cjson.decode(written[n + 1])
  end
  local again, why_not = to_be_run_again(nodes)
  if not again then
    return why_not
  end
  redis.call('HSET', key, 'status', 'started')
  redis.call('HDEL', key, 'ended_at', 'failed_by')
  redis.call('ZADD', names.workflows, redis.call('TIME')[1], flow)
  list_as('open', flow)
  redis.call('PERSIST', key)
  redis.call('PERSIST', part(flow, ':nodes'))
  redis.call('PERSIST', part(flow, ':undo'))
  redis.call('DEL', part(flow, ':ends'))
  for id in pairs(nodes) do
    for _, name in ipairs({ names.job .. id, names.results .. id,
      names.job .. id .. ':dependents', names.job .. ':' .. id .. ':dependencies' }) do
      redis.call('PERSIST', name)
    end
  end
  for n = first, #ARGV, 2 do
    if nodes[ARGV[n]] then
      redis.call('HSET', names.job .. ARGV[n], 'meta', ARGV[n + 1])
    end
  end
  for id, node in pairs(again) do
    begin_anew(id, node)
    if node.undo then
      begin_anew(node.undo, nodes[node.undo])
    end
    redis.call('SADD', part(flow, ':open'), id)
    for _, parent in ipairs(node.parents) do
      if again[parent] then
        redis.call('SADD', part(flow, ':waits:' .. id), parent)
        redis.call('SADD', names.job .. parent .. ':dependents', id) -- it may be gone
      end
    end
  end
  stand_in_line(flow, again)
  for id, node in pairs(again) do
    defer(id, node)
    if redis.call('EXISTS', part(flow, ':waits:' .. id)) == 0 then
      let_go(flow, id)
    end
  end
  close(flow)
  return 'done'
end
