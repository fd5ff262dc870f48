-- Say that a job is at its end, behind what RQ's own code has written of that.
--
-- ARGV[1]  id of its workflow
-- ARGV[2]  id of the job

settle(ARGV[1], ARGV[2])
