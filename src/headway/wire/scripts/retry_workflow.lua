-- Run those nodes of a workflow again that have failed, were canceled or were undone.
--
-- ARGV[1]  id of the workflow
--
-- Returns "done", "gone" where a node of it was deleted, or the status of a workflow that
-- has not failed, or is still about to end ("" for none).

return reopen(ARGV[1])
