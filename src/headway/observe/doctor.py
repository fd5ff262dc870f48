"""What could cost jobs, looked for before it does: `headway doctor`.

Each check looks at one thing and yields what it found, with the cause and what mends
it. None of them changes anything.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, cast
from urllib.parse import urlsplit

from redis.exceptions import RedisError

from headway.app import App
from headway.backends.carried import CarriedBackend
from headway.declared_schedules import look_for_schedules
from headway.errors import ConfigurationError, StoreError
from headway.observe.queues import paused_names
from headway.observe.schedules import MEND, ahead, unsent
from headway.observe.workers import WorkerInfo, workers
from headway.queue import Queue
from headway.settings import without_password
from headway.wire import keys
from headway.wire.leftovers import is_dead
from headway.wire.outage import store_error
from headway.wire.reading import Fields, text
from headway.wire.server import check_facts

if TYPE_CHECKING:
    from redis import Redis

Level = Literal["ok", "warning", "problem"]

_PINGS = 21
#: A round trip longer than this is felt; longer than that every job waits for it.
_FELT, _SLOW = timedelta(milliseconds=5), timedelta(milliseconds=50)
#: Clocks further apart than this puzzle a reader of times; than that, they are wrong.
_ODD, _WRONG = timedelta(seconds=1), timedelta(seconds=10)
#: Shares of what there is, of memory and connections.
_MUCH, _ALL_BUT = 0.8, 0.95
#: A worker of ours says every ten seconds that it lives; RQ's own in seven minutes.
_STALE = timedelta(seconds=60)
#: A due job that waits longer than this waits for nobody.
_OVERDUE = 30
_LOCAL = ("localhost", "127.0.0.1", "::1", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What one check found."""

    level: Level
    #: What was looked at.
    about: str
    found: str
    #: What mends it; empty where nothing is to be done, or what was found says it.
    mend: str = ""


Findings = Iterator[Finding]


def ok(about: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(level="ok", about=about, found=found)


def warning(about: str, found: str, mend: str) -> Finding:
    """Return what may cost jobs one day."""
    return Finding(level="warning", about=about, found=found, mend=mend)


def problem(about: str, found: str, mend: str = "") -> Finding:
    """Return what costs jobs, or keeps them from being run."""
    return Finding(level="problem", about=about, found=found, mend=mend)


def look_at_application(load: Callable[[], App]) -> tuple[App | None, list[Finding]]:
    """Import the application and its tasks."""
    try:
        app = load()
    except ConfigurationError as error:
        return None, [problem("application", str(error))]
    failed = app.registry.import_all()
    found = [
        problem(
            "tasks",
            f"{module} does not import: {type(error).__name__}: {error}",
            "mend the module; jobs of its tasks fail until then",
        )
        for module, error in failed.items()
    ]
    names = ", ".join(queue.name for queue in app.queues)
    about = f"queues {names}; {len(app.registry.names())} tasks"
    return app, [ok("application", about), *found]


class Doctor:
    """One look at a Redis, and at what an application has there."""

    def __init__(self, client: Redis, url: str, app: App | None) -> None:
        self._client = client
        self._url = url
        self._app = app

    def look(self) -> Findings:
        """Yield what is found; the rest is left out where Redis does not answer."""
        try:
            yield self._server()
        except RedisError as error:
            yield problem("redis", str(store_error(self._client, error)))
            return
        checks = (
            self._latency,
            self._clock,
            self._persistence,
            self._eviction,
            self._role,
            self._connections,
            self._encryption,
            self._queues,
            self._brokers,
            self._workers,
            self._due,
            self._schedules,
            self._declared,
            self._put_aside,
        )
        for check in checks:
            try:
                yield from check()
            except (RedisError, StoreError) as error:  # its user may not ask everything
                about = check.__name__.strip("_").replace("_", " ")
                yield warning(about, f"could not be looked at: {error}", "see its ACL")

    @cached_property
    def _facts(self) -> Mapping[str, Any]:
        facts: Mapping[str, Any] = self._client.info("everything")
        return facts

    @cached_property
    def _registered(self) -> list[WorkerInfo]:
        return workers(self._client)

    # Redis

    def _server(self) -> Finding:
        facts = self._facts
        name = "Valkey" if "valkey_version" in facts else "Redis"
        version = facts.get("valkey_version") or facts.get("redis_version", "?")
        try:
            check_facts({**facts, "maxmemory_policy": "noeviction"})
        except ConfigurationError as error:
            return problem("redis", f"{name} {version}", str(error))
        return ok("redis", f"{name} {version} at {without_password(self._url)}")

    def _latency(self) -> Findings:
        took: list[float] = []
        for _ in range(_PINGS):
            begin = time.perf_counter()
            self._client.ping()
            took.append(time.perf_counter() - begin)
        median = timedelta(seconds=statistics.median(took))
        said = f"{median.total_seconds() * 1000:.2f} ms for a round trip"
        if median <= _FELT:
            yield ok("latency", said)
        elif median <= _SLOW:
            yield warning("latency", said, "run workers in the network of their Redis")
        else:
            mend = "run workers in the network of their Redis; each job takes two trips"
            yield problem("latency", said, mend)

    def _clock(self) -> Findings:
        before = datetime.now(UTC)
        seconds, micros = self._client.time()
        after = datetime.now(UTC)
        theirs = datetime.fromtimestamp(seconds + micros / 1e6, UTC)
        skew = abs(theirs - (before + (after - before) / 2))
        said = f"{skew.total_seconds():.3f} s from the clock of Redis"
        mend = "have both machines keep time, as by chrony or systemd-timesyncd"
        if skew <= _ODD:
            yield ok("clock", said)
        elif skew <= _WRONG:
            yield warning("clock", said, mend)
        else:
            yield problem("clock", said, mend)

    def _persistence(self) -> Findings:
        facts = self._facts
        if facts.get("loading"):
            yield warning("persistence", "it still reads its data", "wait for it")
        if facts.get("aof_enabled"):
            if facts.get("aof_last_write_status", "ok") != "ok":
                mend = "see its log: its disk may be full"
                yield problem("persistence", "its append-only file fails", mend)
            else:
                yield ok("persistence", "append-only file")
            return
        mend = "set `appendonly yes`, and `appendfsync everysec`"
        if self._setting("save"):
            said = "snapshots only: a crash loses what came after the last one"
            yield warning("persistence", said, mend)
        else:
            yield problem("persistence", "none: a restart loses all jobs", mend)
        if facts.get("rdb_last_bgsave_status", "ok") != "ok":
            mend = "see its log: its disk or its memory may be full"
            yield problem("persistence", "its last snapshot failed", mend)

    def _setting(self, name: str) -> str:
        return str(self._client.config_get(name).get(name, ""))

    def _eviction(self) -> Findings:
        facts = self._facts
        policy, most = facts.get("maxmemory_policy"), facts.get("maxmemory", 0)
        mend = "set `maxmemory-policy noeviction`: a full memory is then an error"
        said = f"maxmemory-policy {policy}"
        if policy in (None, "noeviction"):
            yield ok("eviction", said)
        elif most:
            yield problem("eviction", f"{said}: a full memory drops jobs", mend)
        else:
            yield warning("eviction", f"{said}, and no maxmemory yet", mend)
        if most and (used := facts["used_memory"] / most) > _MUCH:
            said, mend = f"{used:.0%} of maxmemory is used", "raise maxmemory"
            make = problem if used > _ALL_BUT else warning
            yield make("memory", said, f"{mend}, or shorten result_ttl and failure_ttl")

    def _role(self) -> Findings:
        if self._facts.get("role") == "slave":
            mend = "name the primary in REDIS_URL"
            yield problem("role", "it is a replica: it takes no jobs", mend)

    def _connections(self) -> Findings:
        there = self._facts.get("connected_clients", 0)
        most = int(self._facts.get("maxclients") or self._setting("maxclients") or 0)
        said = f"{there} of {most} connections"
        if most and there / most > _MUCH:
            mend = "raise maxclients, or run fewer children: each has two connections"
            make = problem if there / most > _ALL_BUT else warning
            yield make("connections", said, mend)
        else:
            yield ok("connections", said)

    def _encryption(self) -> Findings:
        url = urlsplit(self._url)
        if (url.hostname or "") in _LOCAL:
            return
        if url.scheme not in ("rediss", "valkeys"):
            said = f"what travels to {url.hostname} is not encrypted"
            mend = "use rediss://, unless the network is private"
            yield warning("encryption", said, mend)
        if not url.password:
            mend = "give it a password: who reaches it can run your tasks"
            yield warning("password", f"{url.hostname} asks for none", mend)

    # The application's own

    def _queues(self) -> Findings:
        if self._app is None:
            return
        served = {queue for each in self._registered for queue in each.queues}
        paused = paused_names(self._client)
        for queue in self._app.queues:
            kind = text(self._client.type(keys.queue(queue.name)))
            if kind not in ("list", "none"):
                said = f"the key of {queue.name} holds a {kind}, and no list of jobs"
                yield problem("queues", said, "rename or delete that key")
                continue
            waiting = self._client.llen(keys.queue(queue.name))
            waiting += self._client.zcard(keys.sent(queue.name))
            mend = f"start `headway worker {queue.name}`"
            if queue.name in paused:
                said = f"{queue.name}: {waiting} waiting, and it is paused"
                yield warning("queues", said, f"`headway resume {queue.name}`")
            elif queue.name in served:
                yield ok("queues", f"{queue.name}: {waiting} waiting, served")
            elif waiting:
                said = f"{queue.name}: {waiting} jobs wait, and no worker serves it"
                yield problem("queues", said, mend)
            else:
                yield warning("queues", f"{queue.name}: no worker serves it", mend)

    def _brokers(self) -> Findings:
        """Ask the brokers of engines that keep their messages elsewhere."""
        first = {queue.engine: queue.name for queue in reversed(self._queues_here)}
        for engine, queue in first.items():
            try:
                backend = cast("App", self._app).backend(engine)
            except ConfigurationError as error:
                yield problem("broker", f"{queue}: {error}")
                continue
            if not isinstance(backend, CarriedBackend) or not backend.broker:
                continue
            about = f"{backend.engine} on {backend.broker}"
            try:
                backend.carrier.is_empty(queue)
            except Exception as error:  # noqa: BLE001 - whatever its client raises
                said = f"{about} does not answer: {error}"
                mend = "see HEADWAY_BROKER_URL; until it does, jobs are kept in Redis"
                yield problem("broker", said, mend)
            else:
                yield ok("broker", f"{about} answers")

    @property
    def _queues_here(self) -> Sequence[Queue]:
        return self._app.queues if self._app else ()

    def _workers(self) -> Findings:
        if self._client.exists(keys.SUSPENDED):
            said = "all are suspended: none begins a job of any queue"
            yield warning("workers", said, "`rq resume`")
        now = datetime.now(UTC)
        for worker in self._registered:
            record = Fields.of(self._client.hgetall(keys.worker(worker.name)))
            ours = record.text("headway_process")
            silent = now - worker.heartbeat if worker.heartbeat else None
            if ours and silent is not None and silent > _STALE:
                said = (
                    f"{worker.name} on {worker.hostname} was heard of "
                    f"{silent.total_seconds():.0f} s ago"
                )
                mend = (
                    "see what became of its machine; its jobs are back when its lease "
                    "has run out and another worker runs"
                )
                yield warning("workers", said, mend)
            elif is_dead(record, now.timestamp()):
                said = f"{worker.name}, one of RQ's own, is gone without a word"
                mend = "a worker of Headway on its queues takes its jobs over"
                yield warning("workers", said, mend)

    def _due(self) -> Findings:
        if self._app is None:
            return
        latest = time.time() - _OVERDUE
        for queue in self._app.queues:
            count = self._client.zcount(keys.scheduled(queue.name), "-inf", latest)
            if count:
                said = f"{queue.name}: {count} jobs are due, and nobody enqueues them"
                mend = "start `headway scheduler`, or `headway worker --with-scheduler`"
                yield problem("scheduler", said, mend)

    def _schedules(self) -> Findings:
        if (found := unsent(self._client)) is not None:
            yield problem("scheduler", found.found, MEND)
        if names := ahead(self._client):
            first, *more = names
            others = f" and {len(more)} more" if more else ""
            said = (
                f"{first}{others}: served while the clock of Redis was an hour ahead "
                "or more, and not again until it is as late"
            )
            mend = "`headway schedules pause NAME` and `resume NAME`: on from now"
            yield problem("scheduler", said, mend)

    def _declared(self) -> Findings:
        if self._app is None:
            return
        declared = look_for_schedules(self._app)
        for module, error in declared.errors.items():
            said = f"{module}: {type(error).__name__}: {error}"
            yield problem("schedules", said, "mend it; until then none of it changes")
        diff = self._app.schedules.compare(declared.schedules)
        differs = {
            **dict.fromkeys(diff.added, "declared in the code, and not in Redis"),
            **dict.fromkeys(diff.changed, "otherwise in Redis than in the code"),
            **dict.fromkeys(diff.removed, "in Redis, and declared no more"),
        }
        for name, said in differs.items():
            mend = "start `headway scheduler` again, with this code: who starts last, "
            yield warning("schedules", f"{name}: {said}", f"{mend}decides")

    def _put_aside(self) -> Findings:
        if count := self._client.llen(keys.QUARANTINE):
            said = f"{count} ids were put aside, since their keys hold no job"
            mend = f"look at them: LRANGE {keys.QUARANTINE} 0 -1"
            yield warning("quarantine", said, mend)
