"""An engine without servers: for tests, for examples, and for a first try."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from traceback import format_exception
from typing import assert_never

from headway.attempt import error_line
from headway.backends import Context
from headway.backends.capabilities import CAPABILITIES
from headway.backends.memory_timetable import MemoryTimetable
from headway.backends.memory_workflows import MemoryWorkflows
from headway.delivery import Delivery
from headway.errors import (
    CapabilityError,
    HeadwayError,
    JobNotFoundError,
    JobStateError,
)
from headway.job import LOG_LINES, JobInfo, JobStatus, Progress
from headway.message import Envelope
from headway.outcome import Failed, Outcome, Retried, Succeeded
from headway.timetable import Timetable
from headway.workflows import Node, WorkflowStore


@dataclass(slots=True, kw_only=True)
class _Record:
    """A job as this engine keeps it: its letter, and what is known of it."""

    envelope: Envelope
    info: JobInfo
    failures: int = 0
    #: The log is of the last run: the next begins a new one.
    log_is_old: bool = False


@dataclass(slots=True, kw_only=True)
class _Store:
    records: dict[str, _Record] = field(default_factory=dict[str, _Record])
    queues: dict[str, deque[str]] = field(default_factory=dict[str, deque[str]])
    #: Unique key -> job id, and when the key is given up.
    unique: dict[str, tuple[str, datetime]] = field(
        default_factory=dict[str, tuple[str, datetime]]
    )
    paused: set[str] = field(default_factory=set[str])


class MemoryBackend:
    """Keeps jobs in this process and runs them when `drain` is called, or at once."""

    engine = "memory"
    capabilities = CAPABILITIES["memory", ""]

    def __init__(self, context: Context) -> None:
        self._context = context
        self._store = _Store()
        self._timetable = self._new_timetable()
        self._changed = threading.Condition(threading.RLock())
        self._workflows = self._new_workflows()
        #: Run each job in `enqueue` itself.
        self.inline = False

    @property
    def timetable(self) -> Timetable:
        """What is kept of schedules, here."""
        return self._timetable

    @property
    def workflows(self) -> WorkflowStore:
        """What is kept of workflows, here."""
        return self._workflows

    def _new_timetable(self) -> Timetable:
        return MemoryTimetable(self._context.clock, self._sent, self._status_of)

    def _new_workflows(self) -> MemoryWorkflows:
        return MemoryWorkflows(self, self._changed, self._context.clock)

    def _sent(self, envelope: Envelope) -> None:
        self.enqueue([envelope])

    def _status_of(self, job_id: str) -> str | None:
        record = self._store.records.get(job_id)
        return record.info.status if record else None

    def enqueue(self, envelopes: Sequence[Envelope]) -> dict[int, str]:
        """Keep jobs; each is kept whole. Returns the ids in the way, by place."""
        with self._changed:
            accepted = [self._accept(envelope) for envelope in envelopes]
        if self.inline:
            for envelope, other in zip(envelopes, accepted, strict=True):
                self._run_inline(other or envelope.id)
        return {place: other for place, other in enumerate(accepted) if other}

    def _accept(self, envelope: Envelope) -> str | None:
        """Keep a job, or return the id of the one in its way."""
        if other := self._in_the_way(envelope):
            return other
        now = self._context.clock.now()
        unique = envelope.terms.unique
        if unique and unique.key:
            self._store.unique[unique.key] = (envelope.id, now + unique.ttl)
        status = JobStatus.SCHEDULED if envelope.terms.due else JobStatus.QUEUED
        self._store.records[envelope.id] = _Record(
            envelope=envelope, info=_first_info(envelope, status, now)
        )
        if envelope.terms.due is None:
            self._push(envelope)
        return None

    def _in_the_way(self, envelope: Envelope) -> str | None:
        if envelope.id in self._store.records:
            return envelope.id
        key = envelope.terms.unique.key if envelope.terms.unique else None
        held = self._store.unique.get(key) if key else None
        if held is None or held[1] <= self._context.clock.now():
            return None
        return held[0]

    def _push(self, envelope: Envelope) -> None:
        line = self._store.queues.setdefault(envelope.terms.queue, deque())
        if envelope.terms.at_front:
            line.appendleft(envelope.id)
        else:
            line.append(envelope.id)

    # Running

    def drain(self, queues: Sequence[str] | None = None) -> int:
        """Run what is queued and due, and what that enqueues; return how many runs."""
        runs = 0
        while (job_id := self._next(queues)) is not None:
            self._run(job_id)
            runs += 1
        return runs

    def _next(self, queues: Sequence[str] | None) -> str | None:
        with self._changed:
            self._promote()
            for name in queues or list(self._store.queues):
                line = self._store.queues.get(name)
                if line and name not in self._store.paused:
                    return line.popleft()
            return None

    def _promote(self) -> None:
        now = self._context.clock.now()
        waiting = (r for r in self._store.records.values() if r.info.due)
        for record in sorted(waiting, key=lambda r: r.info.due or now):
            if record.info.due and record.info.due <= now:
                self.set(record, status=JobStatus.QUEUED, due=None, enqueued_at=now)
                self._push(record.envelope)

    def _run_inline(self, job_id: str) -> None:
        record = self._store.records[job_id]
        while record.info.status in (JobStatus.QUEUED, JobStatus.SCHEDULED):
            line = self._store.queues.get(record.envelope.terms.queue, deque())
            if job_id in line:
                line.remove(job_id)
            self._run(job_id)

    def _run(self, job_id: str) -> None:
        record = self._store.records[job_id]
        self.set(
            record,
            status=JobStatus.STARTED,
            due=None,
            attempt=record.failures + 1,
            started_at=self._context.clock.now(),
        )
        try:
            outcome = self._context.attempt.run(self._delivery(record))
        except HeadwayError as error:  # its name leads to no task any more
            outcome = Failed(error=error)
        with self._changed:
            self._keep(record, outcome)

    def _delivery(self, record: _Record) -> Delivery:
        envelope = record.envelope
        task, flow = self._context.resolve(envelope.terms.task), envelope.terms.workflow
        args, kwargs = envelope.arguments
        waited_for: list[str] = []
        if flow:
            filled = self._workflows.resolved_call(flow, args, kwargs)
            args, kwargs, waited_for = filled
        own = task.options.get("retry") if envelope.terms.retries else None
        return Delivery(
            job_id=envelope.id,
            task=task,
            queue=envelope.terms.queue,
            args=args,
            kwargs=kwargs,
            attempt=record.info.attempt,
            retry=envelope.terms.retry or own,
            expires_at=envelope.terms.expires_at,
            notes=_Notes(self, record),
            checkpoint=record.info.checkpoint,
            workflow=flow,
            waited_for=waited_for,
        )

    def _keep(self, record: _Record, outcome: Outcome) -> None:
        now = self._context.clock.now()
        match outcome:
            case Succeeded(result=result):
                self.set(record, status=JobStatus.FINISHED, result=result, error=None)
            case Retried(error=error, delay=delay):
                record.failures += 1
                self._remember(record, error)
                self.set(record, status=JobStatus.SCHEDULED, due=now + delay)
                return
            case Failed(error=error):
                self._remember(record, error)
                self.set(record, status=JobStatus.FAILED)
            case _:
                assert_never(outcome)
        self.set(record, ended_at=now)
        if _goes_on(record):
            self._schedule_next_run(record, now)
        else:
            self._give_unique_key_back(record)
            self._settle(record)

    def _settle(self, record: _Record) -> None:
        self._workflows.settle(record.envelope.terms.workflow, record.envelope.id)
        if record.envelope.terms.workflow:
            self._changed.notify_all()

    def _schedule_next_run(self, record: _Record, now: datetime) -> None:
        """Schedule the next run of a job that repeats, as if it were the first."""
        terms, left = record.envelope.terms, record.info.repeats_left or 0
        due = now + (terms.repeat.every if terms.repeat else timedelta(0))
        if terms.expires:
            terms = replace(terms, expires_at=due + terms.expires)
            record.envelope = record.envelope._replace(terms=terms)
        record.failures, record.log_is_old = 0, True
        self.set(
            record,
            status=JobStatus.SCHEDULED,
            due=due,
            attempt=0,
            repeats_left=left - 1,
            progress=None,
            checkpoint=None,
            result=None,
        )

    def _remember(self, record: _Record, error: BaseException) -> None:
        self.set(
            record,
            error="".join(format_exception(error)),
            errors=(*record.info.errors, error_line(error)),
        )

    def _give_unique_key_back(self, record: _Record) -> None:
        unique = record.envelope.terms.unique
        if unique and unique.key and unique.until == "end":
            held = self._store.unique.get(unique.key)
            if held and held[0] == record.envelope.id:
                del self._store.unique[unique.key]

    def set(self, record: _Record, **changes: object) -> None:
        """Change what is known of a job."""
        with self._changed:
            record.info = replace(record.info, **changes)  # type: ignore[arg-type]
            self._changed.notify_all()

    # Asking and acting

    def info(self, job_id: str) -> JobInfo:
        """Return a snapshot.

        Raises:
            JobNotFoundError: there is no such job.
        """
        return self._record(job_id).info

    def _record(self, job_id: str) -> _Record:
        try:
            return self._store.records[job_id]
        except KeyError:
            raise JobNotFoundError(f"no job {job_id} in the memory engine") from None

    def wait(self, job_id: str, timeout: float | None) -> JobInfo:
        """Return a snapshot once the job ended, or when the seconds are over.

        Without seconds it runs what is due, as a worker would, and does not wait: in
        one process nobody else might.

        Raises:
            JobNotFoundError: there is no such job.
        """
        record = self._record(job_id)
        if timeout is None:
            self.drain()
            return record.info
        with self._changed:
            self._changed.wait_for(lambda: record.info.status.is_final, timeout)
            return record.info

    def jobs(self) -> list[JobInfo]:
        """Return all jobs, in the order in which they were sent."""
        return [record.info for record in self._store.records.values()]

    def failed(self, queue: str, limit: int) -> list[JobInfo]:
        """Return the failed jobs of a queue, latest first."""
        of_queue = [job for job in self.jobs() if job.queue == queue]
        failed = [job for job in of_queue if job.status is JobStatus.FAILED]
        return failed[::-1][:limit]

    def cancel(self, job_id: str) -> bool:
        """Keep a job from running; tell whether there was a need.

        Raises:
            JobNotFoundError: there is no such job.
            CapabilityError: it runs: this engine cannot stop it.
        """
        record = self._record(job_id)
        with self._changed:
            if record.info.status is JobStatus.STARTED:
                raise CapabilityError(
                    f"job {job_id} runs, and the memory engine cannot stop it"
                )
            if record.info.status.is_final:
                return False
            self._take_from_queue(record)
            self.set(record, status=JobStatus.CANCELED, due=None)
            self._give_unique_key_back(record)
            self._settle(record)
            return True

    def requeue(self, job_id: str) -> None:
        """Run a failed or canceled job again, with all its attempts.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it has not ended, or it finished.
        """
        record = self._record(job_id)
        status = record.info.status
        if not status.is_final or status is JobStatus.FINISHED:
            raise JobStateError(
                f"job {job_id} is {status}: only a failed, stopped or canceled job "
                "can be requeued"
            )
        if flow := record.envelope.terms.workflow:
            self._workflows.retry(flow)
            return
        with self._changed:
            self._forget_attempts(record)
            self.set(record, status=JobStatus.QUEUED, attempt=0)
            self.set(record, enqueued_at=self._context.clock.now())
            self.set(record, started_at=None, ended_at=None)
            self._push(record.envelope)

    def delete(self, job_id: str) -> None:
        """Forget a job and its result.

        Raises:
            JobNotFoundError: there is no such job.
            JobStateError: it is running.
        """
        record = self._record(job_id)
        if record.info.status is JobStatus.STARTED:
            raise JobStateError(f"job {job_id} is running: cancel it first")
        self._take_from_queue(record)
        self._give_unique_key_back(record)
        del self._store.records[job_id]
        with self._changed:
            self._settle(record)

    def _take_from_queue(self, record: _Record) -> None:
        line = self._store.queues.get(record.envelope.terms.queue, deque())
        if record.envelope.id in line:
            line.remove(record.envelope.id)

    def pause(self, queue: str) -> None:
        """Leave the queue's jobs where they are, also when it is drained."""
        self._store.paused.add(queue)

    def resume(self, queue: str) -> None:
        """Let the queue's jobs run again."""
        self._store.paused.discard(queue)

    def is_paused(self, queue: str) -> bool:
        """Tell whether the queue is paused."""
        return queue in self._store.paused

    def close(self) -> None:
        """Forget everything."""
        self._store = _Store()
        self._timetable = self._new_timetable()
        self._workflows = self._new_workflows()

    # For workflows

    def find(self, job_id: str) -> JobInfo | None:
        """Return a snapshot, or None where there is no such job."""
        record = self._store.records.get(job_id)
        return record.info if record else None

    def defer(self, job_id: str, envelope: Envelope | None = None) -> None:
        """Keep a new job, or one that has ended, that waits for others."""
        now, status = self._context.clock.now(), JobStatus.DEFERRED
        if envelope is not None:
            info = _first_info(envelope, status, now)
            self._store.records[job_id] = _Record(
                envelope=envelope, info=replace(info, enqueued_at=None, due=None)
            )
            return
        record = self._store.records[job_id]
        self._forget_attempts(record)
        self.set(record, status=status, attempt=0, started_at=None, ended_at=None)

    def _forget_attempts(self, record: _Record) -> None:
        """Have a job begin anew, also one that has expired: a person wants it."""
        record.failures = 0
        terms = replace(record.envelope.terms, expires_at=None)
        record.envelope = record.envelope._replace(terms=terms)

    def let_go(self, job_id: str, node: Node) -> None:
        """Have a deferred job run when it is due."""
        record, options = self._store.records[job_id], node.message.options
        now = self._context.clock.now()
        due = options.get("at") or now + options.get("delay", timedelta(0))
        if due > now:
            self.set(record, status=JobStatus.SCHEDULED, due=due)
        else:
            self.set(record, status=JobStatus.QUEUED, enqueued_at=now)
            self._push(record.envelope)

    def drop(self, job_id: str, reason: str) -> None:
        """Cancel a job that has not begun."""
        record = self._store.records[job_id]
        self._take_from_queue(record)
        self.set(record, status=JobStatus.CANCELED, due=None, error=reason)

    def sent(self) -> None:
        """Run what is due where jobs run in the very call that sends them."""
        if self.inline:
            self.drain()

    def until(self, holds: Callable[[], bool], timeout: float | None) -> None:
        """Return when it is so, or when the seconds are over.

        Without seconds it runs what is due, as a worker would, and does not wait.
        """
        if timeout is None:
            self.drain()
            return
        with self._changed:
            self._changed.wait_for(holds, timeout)


def _goes_on(record: _Record) -> bool:
    """Tell whether a job that has ended is to run again."""
    rule, failed = record.envelope.terms.repeat, record.info.status is JobStatus.FAILED
    return bool(
        rule and record.info.repeats_left and not (failed and rule.until_failure)
    )


def _first_info(envelope: Envelope, status: JobStatus, now: datetime) -> JobInfo:
    return JobInfo(
        id=envelope.id,
        task=envelope.terms.task,
        queue=envelope.terms.queue,
        status=status,
        args=envelope.arguments.args,
        kwargs=dict(envelope.arguments.kwargs),
        description=envelope.description,
        created_at=now,
        enqueued_at=None if envelope.terms.due else now,
        due=envelope.terms.due,
        repeats_left=envelope.terms.repeat.times if envelope.terms.repeat else None,
        timeout=envelope.terms.timeout,
        workflow=envelope.terms.workflow or None,
    )


class _Notes:
    """Keeps what a running job says of itself."""

    def __init__(self, engine: MemoryBackend, record: _Record) -> None:
        self._engine = engine
        self._record = record

    def save_progress(self, progress: Progress) -> None:
        """Save how far it has come."""
        self._engine.set(self._record, progress=progress)

    def save_log(self, line: str) -> None:
        """Save a line of its log."""
        before = () if self._record.log_is_old else self._record.info.log
        self._record.log_is_old = False
        lines = (*before, line)[-LOG_LINES:]
        self._engine.set(self._record, log=lines)

    def save_checkpoint(self, checkpoint: object) -> None:
        """Save its place."""
        self._engine.set(self._record, checkpoint=checkpoint)

    def incarnation(self) -> str:
        """Return what tells the job from others that have had its id."""
        info = self._record.info
        return f"{info.created_at}:{info.repeats_left or ''}"
