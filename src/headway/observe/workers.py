from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from redis import Redis
from redis.exceptions import RedisError
from rq.executions import WORKER_EXECUTIONS_KEY_TEMPLATE

from headway.observe.jobs import JobLine, lines
from headway.wire import keys
from headway.wire.reading import Fields, text

_FIELDS = (
    "state",
    "queues",
    "hostname",
    "pid",
    "birth",
    "last_heartbeat",
    "successful_job_count",
    "failed_job_count",
    "total_working_time",
    "version",
    "python_version",
    "death",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerInfo:
    """A worker as it last described itself."""

    name: str
    state: str
    queues: tuple[str, ...]
    hostname: str
    pid: int | None
    born: datetime | None
    heartbeat: datetime | None
    succeeded: int
    failed: int
    worked: timedelta
    version: str
    python: str
    #: What it runs now; workers may run several jobs at a time.
    jobs: tuple[JobLine, ...] = ()

    @property
    def busy(self) -> bool:
        """Tell whether it runs a job now."""
        return bool(self.jobs) or self.state == "busy"


def workers(redis: Redis) -> list[WorkerInfo]:
    """Return the workers that are registered and have not died, by name."""
    members = sorted(text(member) for member in redis.smembers(keys.WORKERS))
    names = [member.removeprefix(keys.worker("")) for member in members]
    pipeline = redis.pipeline(transaction=False)
    for name in names:
        pipeline.hmget(keys.worker(name), _FIELDS)
        pipeline.smembers(WORKER_EXECUTIONS_KEY_TEMPLATE.format(name))
    answers = iter(pipeline.execute(raise_on_error=False))
    found = [(name, next(answers), next(answers)) for name in names]
    return [
        _worker(redis, name, Fields(dict(zip(_FIELDS, values, strict=True))), running)
        for name, values, running in found
        if isinstance(values, list) and any(values) and not values[-1]
    ]


def _worker(redis: Redis, name: str, fields: Fields, running: object) -> WorkerInfo:
    return WorkerInfo(
        name=text(name),
        state=fields.text("state") or "unknown",
        queues=tuple(name for name in fields.text("queues").split(",") if name),
        hostname=fields.text("hostname"),
        pid=fields.integer("pid"),
        born=fields.moment("birth"),
        heartbeat=fields.moment("last_heartbeat"),
        succeeded=fields.integer("successful_job_count") or 0,
        failed=fields.integer("failed_job_count") or 0,
        worked=timedelta(seconds=min(max(fields.number("total_working_time"), 0), 1e9)),
        version=fields.text("version"),
        python=fields.text("python_version"),
        jobs=_running(redis, running),
    )


def _running(redis: Redis, members: object) -> tuple[JobLine, ...]:
    if isinstance(members, RedisError) or not isinstance(members, set):
        return ()
    ids = sorted(text(member).partition(":")[0] for member in members)
    return tuple(line for line in lines(redis, ids) if line.status == "started")
