-- Write the nodes of a workflow, all of them or none: those that wait for nobody into their
-- queues, the others among the deferred jobs, as RQ has them. Either a new workflow, or
-- more nodes for one whose node, which still runs, has asked for them.
--
-- KEYS[1]  hash: the lease of the child that runs the asking node; "" where none is kept
-- ARGV[1]  id of the workflow
-- ARGV[2]  in MessagePack, for each node: id, its record as JSON, its parents, whether it
--          is a compensation, field and value of its hash
-- ARGV[3]  what the workflow returns, or the asking node in its stead: as JSON
-- ARGV[4]  the nodes of which that is made, as JSON
-- ARGV[5]  the asking node; "" for a new workflow
-- ARGV[6]  what its lease says, `ordinal:queue`
-- ARGV[7]  the time as RQ writes it
-- ARGV[8]  how many of the nodes are no compensations
-- ARGV[9]  the task from which the workflow returns
-- then for each node: its payload, which MessagePack here would not read
--
-- Returns "done", "there" where it was done before, "lost" where another worker has the
-- asking node, or "taken" and the id of a job that is in the way.

local call = redis.call
local flow, asking, nodes = ARGV[1], ARGV[5], cmsgpack.unpack(ARGV[2])
local ID, RECORD, PARENTS, UNDOES, FIELDS, PAYLOADS = 1, 2, 3, 4, 5, 9

local function wait_for(id, parent)
  call('SADD', names.job .. parent .. ':dependents', id)
  call('SADD', names.job .. ':' .. id .. ':dependencies', parent)
  call('SADD', part(flow, ':waits:' .. id), parent)
end

-- Those that wait for the asking node wait for what it has asked for as well.
local function wait_longer(id, node, ends)
  for _, parent in ipairs(ends) do
    node.parents[#node.parents + 1] = parent
    wait_for(id, parent)
  end
  call('HSET', part(flow, ':nodes'), id, cjson.encode(node))
  call('HSET', names.job .. id, 'dependency_ids', cjson.encode(node.parents))
end

local function write(node, payload)
  local id, record = node[ID], cjson.decode(node[RECORD])
  call('HSET', names.job .. id, 'data', payload, unpack(node[FIELDS]))
  call('HSET', part(flow, ':nodes'), id, node[RECORD])
  if node[UNDOES] then
    return
  end
  call('SADD', part(flow, ':open'), id)
  for _, parent in ipairs(node[PARENTS]) do
    wait_for(id, parent)
  end
  if record.line then
    call('SADD', part(flow, ':waits:' .. id), '#' .. record.line)
    call('RPUSH', part(flow, ':line:' .. record.line), id)
  end
  defer(id, record)
  if call('EXISTS', part(flow, ':waits:' .. id)) == 0 then
    let_go(flow, id)
  end
end

if asking ~= '' then
  if KEYS[1] ~= '' and call('HGET', KEYS[1], asking) ~= ARGV[6] then
    return { 'lost', '' }
  elseif call('HEXISTS', names.job .. asking, 'headway_became') == 1 or not is_open(flow) then
    return { 'there', '' }
  end
elseif call('EXISTS', part(flow)) == 1 then
  return { 'there', '' }
end
for _, node in ipairs(nodes) do
  if call('EXISTS', names.job .. node[ID]) == 1 then
    return { 'taken', node[ID] }
  end
end

if asking == '' then
  call('HSET', part(flow), 'status', 'started', 'created_at', ARGV[7], 'result', ARGV[3],
    'task', ARGV[9])
  call('ZADD', names.workflows, call('TIME')[1], flow)
  list_as('open', flow)
else
  local ends, asks = cjson.decode(ARGV[4]), node_of(flow, asking)
  for _, id in ipairs(call('SMEMBERS', names.job .. asking .. ':dependents')) do
    local node = node_of(flow, id)
    if node then
      wait_longer(id, node, ends)
    end
  end
  if asks.leaves and #ends == 1 then -- its place in the line is free when these have ended
    for _, node in ipairs(nodes) do
      if node[ID] == ends[1] then
        local record = cjson.decode(node[RECORD])
        record.leaves, asks.leaves = asks.leaves, nil
        node[RECORD] = cjson.encode(record)
      end
    end
    call('HSET', part(flow, ':nodes'), asking, cjson.encode(asks))
  end
  call('HSET', names.job .. asking, 'headway_became', ARGV[3])
end
call('HINCRBY', part(flow), 'size', ARGV[8])
for place, node in ipairs(nodes) do
  write(node, ARGV[PAYLOADS + place])
end
close(flow) -- of no nodes at all
return { 'done', '' }
