-- Run those nodes of a workflow again that have failed, were canceled or were undone.
--
-- ARGV[1]  id of the workflow
-- then id, new meta, id, new meta ... of nodes
--
-- Returns "done", "gone" where the job of a node is, "grown" where one has asked for more
-- that would have to run again, or the status of a workflow in which nothing has failed, or
-- that is still about to end ("" for none).

return reopen(ARGV[1], 2)
