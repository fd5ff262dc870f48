-- Behind workflow.lua, where a workflow that has ended is to go on.

-- Returns the nodes to be run again by id, or nothing where one of them was deleted.
local function to_be_run_again(nodes)
  local again = {}
  for id, node in pairs(nodes) do
    local status = status_of(id)
    local was_undone = node.undo and status_of(node.undo) ~= 'deferred'
    if node.undoes then
      again[id] = nil
    elseif status == 'deleted' then
      return nil
    elseif status ~= 'finished' or was_undone then
      again[id] = node
    end
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

local function reopen(flow)
  local key, nodes = part(flow), {}
  local status, ended_at = unpack(redis.call('HMGET', key, 'status', 'ended_at'))
  if not status or not ended_at or status == 'finished' then
    return status or ''
  end
  local written = redis.call('HGETALL', part(flow, ':nodes'))
  for n = 1, #written, 2 do
    nodes[written[n]] = cjson.decode(written[n + 1])
  end
  local again = to_be_run_again(nodes)
  if not again then
    return 'gone'
  end
  redis.call('HSET', key, 'status', 'started')
  redis.call('HDEL', key, 'ended_at', 'failed_by')
  redis.call('ZADD', names.workflows, redis.call('TIME')[1], flow)
  redis.call('PERSIST', key)
  redis.call('PERSIST', part(flow, ':nodes'))
  for id in pairs(nodes) do
    for _, name in ipairs({ names.job .. id, names.results .. id,
      names.job .. id .. ':dependents', names.job .. ':' .. id .. ':dependencies' }) do
      redis.call('PERSIST', name)
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
