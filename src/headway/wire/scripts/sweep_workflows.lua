-- Go on with workflows whose nodes were ended by others than our own verbs: by a worker of
-- RQ's own, by its commands, or by who has deleted a key. Those that were not looked at for
-- longest come first, and of a large one some nodes at a time.
--
-- ARGV[1]  how many workflows at most
-- ARGV[2]  how many nodes of each

local call = redis.call
local now = call('TIME')[1]
for _, flow in ipairs(call('ZRANGE', names.workflows, 0, ARGV[1] - 1)) do
  local is_there = call('EXISTS', part(flow)) == 1
  if is_there then
    call('ZADD', names.workflows, now, flow)
  else
    call('ZREM', names.workflows, flow)
    call('ZREM', names.listed .. 'open', flow)
  end
  for _, id in ipairs(call('SRANDMEMBER', part(flow, ':open'), ARGV[2])) do
    local status = status_of(id)
    if ENDED[status] then
      settle(flow, id)
    elseif status == 'deferred' and call('EXISTS', part(flow, ':waits:' .. id)) == 0 then
      let_go(flow, id)
    end
  end
  if is_there then
    close(flow)
  end
end
