"""The one list of differences between our worker and a stock one that are meant."""

from __future__ import annotations

import json
import pickle

from tests.parity.comparison import Meant

NOTHING = "None"
TRACEBACK = r"Traceback \(most recent call last\):\n.*"
#: A moment, to one decimal; what is before it is anything.
_NEAR = r"Near\(seconds={}\.\d+, .*"


def _value(written: bytes) -> object:
    """Return what a reader gets; the jobs are our own, so their pickle is safe."""
    if written.startswith(b"\x80"):
        return repr(pickle.loads(written))
    return json.loads(written)


MEANT = (
    Meant(
        path=r"headway:.*",
        stock=NOTHING,
        why="what RQ has no place for lies under keys of our own",
    ),
    Meant(
        path=r"rq:job:.*\.headway_delivery",
        stock=NOTHING,
        ours=r"\d+",
        why="counts deliveries and fences: a run that lost its lease writes nothing",
    ),
    Meant(
        path=r"rq:job:.*\.meta\.headway",
        stock=NOTHING,
        why="the reasons of all attempts that failed; RQ keeps the last one's",
    ),
    Meant(
        path=r"rq:results:.*\.return_value",
        read=_value,
        why="the same value; JSON without the spaces and escapes of Python's json",
    ),
    Meant(
        path=r"rq:job:scheduled--returned\.result",
        stock=r".*Unserializable return value.*",
        ours=r"Unserializable return value",
        why="a Retry that was returned: RQ's scheduler writes the whole hash anew",
    ),
    Meant(
        path=r"rq:worker:<worker>\.headway_process",
        stock=NOTHING,
        why="whether the process lives is seen by others of its machine",
    ),
    Meant(
        path=r"rq:worker:<worker> ttl",
        stock=_NEAR.format(r"4[78]\d"),
        ours=_NEAR.format(r"[89]\d"),
        why="renewed every ten seconds: a host that is lost does not haunt for minutes",
    ),
    Meant(
        path=r"rq:results:environment_of_a_job--names\[0\]\.return_value",
        stock=r".*\"job\": ?true, ?\"worker\": ?true.*",
        ours=r".*\"job\": ?false, ?\"worker\": ?true.*",
        why="RQ_JOB_ID is one for a process, which lives for many jobs here, some at "
        "once; and the C library keeps every value it is ever given",
    ),
    # Failures that say more
    Meant(
        path=r"trace:callbacks--timeout\[\]",
        stock=r"failed JobTimeoutException Task exceeded maximum timeout value .*",
        ours=r"failed TaskTimeoutError .*: Task exceeded maximum timeout value .*",
        why="names the task; it is a JobTimeoutException as well",
    ),
    Meant(
        path=r"rq:results:missing_functions--.*\.exc_string",
        stock=rf"{TRACEBACK}ValueError: Invalid attribute name: \w+",
        ours=r"headway\.errors\.UnknownTaskError: .*",
        why="says which function is missing, of which module; no frame of ours helps",
    ),
    Meant(
        path=r"rq:results:exceptions--wrong_arguments\[0\]\.exc_string",
        stock=rf"{TRACEBACK}TypeError: .*",
        ours=rf"{TRACEBACK}headway\.errors\.ArgumentError: parity_tasks.calls.add\(.*",
        why="arguments are read by their annotations, before the call",
    ),
    Meant(
        path=r"rq:results:.*\.exc_string",
        stock=rf"{TRACEBACK}rq\.timeouts\.JobTimeoutException: .*",
        ours=rf"{TRACEBACK}headway\.errors\.TaskTimeoutError: .*",
        why="names the task; RQ's own exception is its cause",
    ),
    Meant(
        path=r"rq:results:kill_horse--plain\[0\]\.exc_string",
        stock=r"Work-horse terminated unexpectedly; waitpid returned 9 \(signal 9\); ",
        ours=r"headway\.errors\.JobKilledError: .*by a command",
        why="a person's command is no unexpected end",
    ),
    # What RQ forgets
    Meant(
        path=r"rq:results:.* ttl",
        stock="for ever",
        ours=_NEAR.format(r"315(36000|35999)"),
        why="the reason of a failure goes with its job, which RQ keeps for a year",
    ),
    Meant(
        path=r"rq:job:(stop_job|stop_execution|kill_horse)--.*"
        r"\.(worker_name|last_heartbeat|ended_at)",
        stock="",
        ours=r"<time>|<worker>",
        why="RQ's parent writes its own copy of a job over what its child has written",
    ),
    Meant(
        path=r"rq:results:(stop_job|stop_execution)--.*\.execution_ended_at",
        stock=NOTHING,
        ours="<time>",
        why="likewise",
    ),
    Meant(
        path=r"rq:.*(jobs_that_end_themselves|taken_away)--deleted.*",
        ours=NOTHING,
        why="a job that was deleted as it ran stays deleted; RQ writes it anew",
    ),
    Meant(
        path=r"rq:finished:\w+\[.*repeat.*\]",
        ours=NOTHING,
        why="a job that is to run again has not finished",
    ),
    # RQ's scheduler
    Meant(
        path=r"rq:scheduler:<execution>.*",
        ours=NOTHING,
        why="due jobs are moved by one atomic call, by anybody: it is nobody's office",
    ),
    Meant(
        path=r"rq:scheduler-lock:\w+( ttl|=)?",
        ours=r"headway:scheduler|a string|Near\(.*",
        why="RQ's own is to leave the queue alone; all of ours share the lock",
    ),
)

#: What the tools say, beside the others.
MEANT_OF_TOOLS = (
    Meant(
        path=r"failed/jobs/kill_horse--plain/exc_info",
        stock=r"Work-horse terminated unexpectedly.*",
        ours=r"headway\.errors\.JobKilledError: .*by a command",
        why="a person's command is no unexpected end",
    ),
    Meant(
        path=r"failed/jobs/stop_(job|execution)--running/ended_at",
        stock=NOTHING,
        ours="<own>",
        why="RQ's parent writes its own copy of a job over what its child has written",
    ),
    Meant(
        path=r"job/metadata",
        stock=r"\{\}",
        ours=r'\{\s+"headway": \{\s+"errors": .*',
        why="the reasons of all attempts that failed; RQ keeps the last one's",
    ),
)

#: While a job runs, beside the others.
MEANT_WHILE_RUNNING = (
    Meant(
        path=r"rq:(execution|executions|wip)\b.*",
        stock=_NEAR.format(r"(8[89]|90|14[89]|150)"),
        ours=_NEAR.format(r"7\d\d"),
        why="our leases are kept elsewhere; no tool of RQ's is to take a job for "
        "abandoned before we do",
    ),
    Meant(
        path=r"rq:worker:<worker>:executions ttl",
        ours=_NEAR.format(r"7\d\d"),
        why="likewise",
    ),
)
