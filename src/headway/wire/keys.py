"""Every key in Redis that Headway reads or writes is made here.

RQ's own names are those of rq 3.0.0 (`rq/*.py`, found by `RQ_KEY_PREFIX`); what RQ
has no place for lies under `headway:`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

#: As RQ: taken from the environment once, when the process starts.
PREFIX = os.environ.get("RQ_KEY_PREFIX", "rq")
OURS = "headway" if PREFIX == "rq" else f"headway:{PREFIX}"

QUEUES = f"{PREFIX}:queues"
WORKERS = f"{PREFIX}:workers"
JOB_PREFIX = f"{PREFIX}:job:"


def job(job_id: str) -> str:
    """Hash: all that RQ knows of a job."""
    return f"{JOB_PREFIX}{job_id}"


def dependents(job_id: str) -> str:
    """Set: ids of the jobs that wait for this one."""
    return f"{JOB_PREFIX}{job_id}:dependents"


def dependencies(job_id: str) -> str:
    """Set: ids this job waits for. The double colon is RQ's."""
    return f"{JOB_PREFIX}:{job_id}:dependencies"


def results(job_id: str) -> str:
    """Stream: how the attempts of a job ended."""
    return f"{PREFIX}:results:{job_id}"


def executions(job_id: str) -> str:
    """Sorted set: ids of its executions by the second at which they are abandoned."""
    return f"{EXECUTIONS_PREFIX}{job_id}"


def group(name: str) -> str:
    """Set: ids of the jobs of a group."""
    return f"{PREFIX}:group:{name}"


def queue(name: str) -> str:
    """List: ids of the jobs that wait."""
    return f"{PREFIX}:queue:{name}"


def intermediate(queue_name: str) -> str:
    """List: ids that a worker of RQ's own has popped, and not begun yet."""
    return f"{queue(queue_name)}:intermediate"


def scheduled(queue_name: str) -> str:
    """Sorted set: ids by the second at which they are due."""
    return f"{PREFIX}:scheduled:{queue_name}"


def started(queue_name: str) -> str:
    """Sorted set: `job:execution` by the second at which its heartbeat is late."""
    return f"{PREFIX}:wip:{queue_name}"


def finished(queue_name: str) -> str:
    """Sorted set: ids by the second at which their result goes."""
    return f"{PREFIX}:finished:{queue_name}"


def failed(queue_name: str) -> str:
    """Sorted set: ids by the second at which they are forgotten."""
    return f"{PREFIX}:failed:{queue_name}"


def deferred(queue_name: str) -> str:
    """Sorted set: ids of jobs that wait for others."""
    return f"{PREFIX}:deferred:{queue_name}"


def ready(queue_name: str) -> str:
    """Sorted set: ids of jobs whose dependencies or rate limits let them go."""
    return f"{PREFIX}:ready:{queue_name}"


def canceled(queue_name: str) -> str:
    """Sorted set: ids of canceled jobs."""
    return f"{PREFIX}:canceled:{queue_name}"


def worker(name: str) -> str:
    """Hash: what a worker says of itself."""
    return f"{PREFIX}:worker:{name}"


def unique(key: str) -> str:
    """String: the id of the job that holds a unique key."""
    return f"{OURS}:unique:{key}"


def scheduler_lock(queue_name: str) -> str:
    """String: the scheduler that has the queue, of RQ's or ours."""
    return f"{PREFIX}:scheduler-lock:{queue_name}"


def rq_scheduler(name: str) -> str:
    """Hash: what a scheduler of RQ's own says of itself."""
    return f"{PREFIX}:scheduler:{name}"


def workers_of(queue_name: str) -> str:
    """Set: keys of the workers that serve a queue."""
    return f"{PREFIX}:workers:{queue_name}"


def worker_executions(name: str) -> str:
    """Set: `job:execution` of what a worker runs."""
    return f"{PREFIX}:worker:{name}:executions"


def commands_to(worker_name: str) -> str:
    """Channel: what a worker is told to do."""
    return f"{PREFIX}:pubsub:{worker_name}"


def sending(queue_name: str) -> str:
    """String: there while somebody hands jobs of a queue over to another engine."""
    return f"{OURS}:sending:{queue_name}"


def sent(queue_name: str) -> str:
    """Sorted set: ids that another engine carries, by the second they were sent."""
    return f"{SENT_PREFIX}{queue_name}"


SUSPENDED = f"{PREFIX}:suspended"
RESULTS_PREFIX = results("")
QUEUE_PREFIX = queue("")
STARTED_PREFIX = started("")
FINISHED_PREFIX = finished("")
FAILED_PREFIX = failed("")
EXECUTION_PREFIX = f"{PREFIX}:execution:"
EXECUTIONS_PREFIX = f"{PREFIX}:executions:"
WORKER_PREFIX = worker("")

#: Sorted set: children by the millisecond at which their lease runs out.
LEASES = f"{OURS}:leases"
LEASE_PREFIX = f"{OURS}:lease:"
SENT_PREFIX = f"{OURS}:sent:"
#: Hash: when the latest job was sent that a worker was given, by queue.
SENT_MARKS = f"{OURS}:sent-marks"
RECOVERED_PREFIX = f"{OURS}:recovered:"
#: Set: names of the queues that are paused.
PAUSED = f"{OURS}:paused"
#: Hash: what jobs that are written together share; there while they are written.
FORM = f"{OURS}:form"
#: List: ids whose key holds no job that could be read.
QUARANTINE = f"{OURS}:quarantine"


def lease(child: str) -> str:
    """Hash: `ordinal:queue` by the id of each job that a child holds."""
    return f"{LEASE_PREFIX}{child}"


def holder(child: str) -> str:
    """String: the process that answers for a child."""
    return f"{OURS}:holder:{child}"


def machine(name: str) -> str:
    """Set: children whose processes are on a machine."""
    return f"{OURS}:machine:{name}"


def recovered(child: str) -> str:
    """String: there for a while after others have recovered a child's jobs."""
    return f"{RECOVERED_PREFIX}{child}"


def resumed(child: str) -> str:
    """String: the least ordinal that a child has not given up after a lost answer."""
    return f"{OURS}:resumed:{child}"


def committed(child: str, ordinal: int) -> str:
    """String: there for a while after RQ's own code has ended this job."""
    return f"{OURS}:committed:{child}:{ordinal}"


def sweep(queue_names: str) -> str:
    """String: there for as long as nobody else need look for leftovers."""
    return f"{OURS}:sweep:{queue_names}"


def seen(job_id: str, execution: str) -> str:
    """String: the second at which a leftover was seen first."""
    return f"{OURS}:seen:{job_id}:{execution}"


def wake(queue_name: str) -> str:
    """List: one token while the queue has jobs that no idle worker was told of."""
    return f"{OURS}:wake:{queue_name}"


WAKE_PREFIX = wake("")

#: Hash: schedules as JSON, by name.
SCHEDULES = f"{OURS}:schedules"
#: Sorted set: names of schedules by the microsecond at which their next tick is due.
SCHEDULES_DUE = f"{OURS}:schedules:due"
#: Sorted set: `name:tick` whose job has not ended, by when it is to be looked at.
SCHEDULES_OPEN = f"{OURS}:schedules:open"
#: String: the scheduler that does what one is enough for.
SCHEDULES_LEADER = f"{OURS}:schedules:leader"


def queues_leader(queue_names: Sequence[str]) -> str:
    """String: the scheduler that looks often for delayed jobs of just these queues."""
    return f"{OURS}:schedules:leader:{','.join(sorted(queue_names))}"


def schedule(name: str) -> str:
    """Hash: where a schedule has come to; its cursor, its last job."""
    return f"{OURS}:schedule:{name}"


def schedule_ticks(name: str) -> str:
    """Sorted set: the ticks that are remembered, by themselves."""
    return f"{OURS}:schedule:{name}:ticks"


def schedule_history(name: str) -> str:
    """Hash: what became of each remembered tick, as JSON."""
    return f"{OURS}:schedule:{name}:history"


WORKFLOW_PREFIX = f"{OURS}:workflow:"
#: Sorted set: ids of workflows that have not ended, by when they were looked at.
WORKFLOWS = f"{OURS}:workflows"


def listed_workflows(kind: str) -> str:
    """Sorted set: ids of open ones by when they were sent, others by their end."""
    return f"{WORKFLOWS}:{kind}"


def workflow(workflow_id: str) -> str:
    """Hash: where a workflow has come to; what else there is of it begins like this."""
    return f"{WORKFLOW_PREFIX}{workflow_id}"


def workflow_nodes(workflow_id: str) -> str:
    """Hash: the nodes of a workflow as JSON, by id."""
    return f"{WORKFLOW_PREFIX}{workflow_id}:nodes"


def workflow_ends(workflow_id: str) -> str:
    """Hash: how those nodes of a workflow ended that did not finish, by id."""
    return f"{WORKFLOW_PREFIX}{workflow_id}:ends"


def workflow_open(workflow_id: str) -> str:
    """Set: nodes of a workflow that have not ended."""
    return f"{WORKFLOW_PREFIX}{workflow_id}:open"


#: Every list of jobs that is kept for a queue; "queued" is the queue itself, and "sent"
#: is ours: what waits in the hands of another engine.
REGISTRIES: dict[str, Callable[[str], str]] = {
    "queued": queue,
    "sent": sent,
    "started": started,
    "scheduled": scheduled,
    "deferred": deferred,
    "ready": ready,
    "finished": finished,
    "failed": failed,
    "canceled": canceled,
}

#: Of the package rq-scheduler, which has these names whatever RQ's prefix is.
#: Sorted set: ids of jobs by the second at which they are due.
RQ_SCHEDULER_JOBS = "rq:scheduler:scheduled_jobs"
#: String: the one that sends what is due.
RQ_SCHEDULER_LOCK = "rq:scheduler_lock"
#: Set: ids of the schedules and delayed jobs that were made by rq-scheduler's API.
MADE_AS_RQ_SCHEDULER = f"{OURS}:made-as-rq-scheduler"

#: How the keys begin that scripts make of the ids they come to.
NAMES_IN_LUA = {
    "job": JOB_PREFIX,
    "results": RESULTS_PREFIX,
    "queue": QUEUE_PREFIX,
    "wake": WAKE_PREFIX,
    "sent": sent(""),
    "scheduled": scheduled(""),
    "deferred": deferred(""),
    "finished": FINISHED_PREFIX,
    "failed": FAILED_PREFIX,
    "canceled": canceled(""),
    "queues": QUEUES,
    "workflow": WORKFLOW_PREFIX,
    "workflows": WORKFLOWS,
    "listed": listed_workflows(""),
}
