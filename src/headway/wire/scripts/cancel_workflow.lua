-- Cancel all of a workflow that has not begun.
--
-- ARGV[1]  id of the workflow
--
-- Returns its status before that ("" for none), then the ids of the nodes that run.

local flow = ARGV[1]
local status = redis.call('HGET', part(flow), 'status') or ''
if status ~= 'started' then
  return { status }
end
redis.call('HSET', part(flow), 'status', 'canceled')
local running = cancel_waiting(flow, 'canceled with its workflow')
undo_next(flow)
close(flow)
return { status, unpack(running) }
