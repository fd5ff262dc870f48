"""One job, from its lease to its outcome.

    begin -> deliver -> attempt -> conclude (acknowledge, or end by RQ's own code)

An outcome is a value. A plain success is noted and travels with the next reservation;
whatever else becomes of a job is written by RQ's own code, at once.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol, assert_never

from rq import Retry as RQRetry
from rq.job import _current_job  # pyright: ignore[reportPrivateUsage] - what rq.get_current_job() asks
from rq.timeouts import JobTimeoutException

from headway.app import App
from headway.attempt import Attempt
from headway.backends.rq_delivery import (
    ReturnedRetry,
    running_id,
)
from headway.clock import Clock
from headway.delivery import Delivery
from headway.errors import (
    HeadwayError,
    ResultError,
    TaskTimeoutError,
    UnreadableJobError,
)
from headway.lease import Holder, Lease
from headway.outcome import Failed, Outcome, Retried, Succeeded
from headway.worker import cuda, payload
from headway.worker.by_rq import RQCode, is_patched
from headway.worker.delivering import Deliver, time_of_callbacks, timeout_of
from headway.worker.notes import Notes
from headway.worker.supply import Noted
from headway.worker.trusted_job import UnreadJob

if TYPE_CHECKING:
    from redis import Redis

#: A job that has run for longer may have been shown in RQ's registries meanwhile.
SHOWN_AFTER = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedAgain:
    """The task returned RQ's own word for another attempt."""

    retry: RQRetry


Ending = Outcome | AskedAgain


class Acknowledges(Protocol):
    """Takes note of successes, and writes them."""

    def acknowledge(
        self, lease: Lease, value: bytes, began: float, ended: float, *, shown: bool
    ) -> None:
        """Note that a job succeeded.

        Raises:
            ResultError: what it returned is too large for this Redis.
        """
        ...

    def flush(self) -> None:
        """Write what is noted, now."""
        ...


class Timed(Protocol):
    """Raises into the job that runs in this thread when its time is over."""

    def begin(self, seconds: float) -> None:
        """Allow the job that begins now that many seconds; none or less for ever."""
        ...

    def end(self) -> None:
        """Say that it is over."""
        ...


class Execute:
    """The steps of a job, for whoever runs it."""

    def __init__(
        self,
        app: App,
        *,
        client: Redis,
        holder: Holder,
        supply: Acknowledges,
        by_rq: RQCode,
        clock: Clock,
        has_device: bool,
    ) -> None:
        self._app = app
        self._client = client
        self._holder = holder
        self._supply = supply
        self._by_rq = by_rq
        self._clock = clock
        self._attempt: Attempt = app.attempt()
        self._deliver = Deliver(app, client)
        self._all_by_rq = is_patched()
        self._has_device = has_device
        self._is_copy = False
        os.register_at_fork(after_in_child=self._be_a_copy)
        self._epoch = 0.0
        self.look_at_the_clock()
        #: The last failure that this child should not survive, as a broken GPU.
        self.poison: BaseException | None = None

    def _be_a_copy(self) -> None:
        # Of a task that forks: its copy may run on, but not come back from the task, as
        # it would acknowledge and reserve on the child's own connection.
        self._is_copy = True

    def look_at_the_clock(self) -> None:
        """Learn what time it is; from then on the cheaper monotonic clock tells."""
        self._epoch = self._clock.now().timestamp() - self._clock.monotonic()

    def seconds(self, monotonic: float) -> float:
        """Return a monotonic second as one since 1970."""
        return self._epoch + monotonic

    # The steps

    def deadline(self, lease: Lease, now: float) -> float:
        """Return the monotonic second at which a job has run too long; 0 is never."""
        try:
            seconds = timeout_of(lease)
            if lease.fields:
                seconds += time_of_callbacks(lease)
        except (UnreadableJobError, ValueError):
            return 0.0  # it will not be run
        return 0.0 if seconds <= 0 else now + seconds

    def outcome(self, lease: Lease, notes: Notes, alarm: Timed) -> Ending:
        """Run a job in this thread, within its time, and return how it ended.

        Raises:
            BaseException: what stops the worker itself.
        """
        try:
            delivery = self.delivered(lease, notes)
            alarm.begin(timeout_of(lease))
            try:
                return self.attempted(lease, delivery)
            finally:
                alarm.end()
        except HeadwayError as error:  # nothing of the task has run: no frame helps
            return Failed(error=error.with_traceback(None))
        except JobTimeoutException as error:
            return Failed(error=error)

    def conclude(self, lease: Lease, outcome: Ending, began: float) -> bool:
        """See to an outcome; tell whether it is a success that could be written."""
        if isinstance(outcome, Succeeded):
            return self.succeed(lease, outcome, began)
        self.end_by_rq(lease, outcome, began)
        return False

    def goes_by_rq(self, lease: Lease) -> bool:
        """Tell whether only RQ's own code can run it."""
        return bool(lease.fields) or self._all_by_rq or self._is_accepted_pickle(lease)

    def _is_accepted_pickle(self, lease: Lease) -> bool:
        if not self._app.accept_pickle:
            return False
        try:
            return payload.is_pickle(payload.unpacked(lease.job_id, lease.data))
        except UnreadableJobError:
            return False  # it will be said when it is to be run

    def delivered(self, lease: Lease, notes: Notes) -> Delivery:
        """Return what is to be run.

        Raises:
            HeadwayError: it cannot be read, or may not be run.
        """
        try:
            return self._deliver(lease, notes)
        except HeadwayError:
            raise
        except Exception as error:  # whoever reaches Redis can write anything
            raise UnreadableJobError(
                f"job {lease.job_id} cannot be read: {type(error).__name__}: {error}"
            ) from error

    def notes(self, lease: Lease) -> Notes:
        """Return what keeps what the job says of itself."""
        return Notes(self._client, self._holder, lease, self._clock)

    def attempted(self, lease: Lease, delivery: Delivery) -> Ending:
        """Run it here, in this thread."""
        current = _current_job.set(UnreadJob(lease.job_id, self._client))
        running = running_id.set(lease.job_id)
        try:
            return self._attempt.run(delivery)
        except ReturnedRetry as word:
            return AskedAgain(retry=word.retry)
        finally:
            if self._is_copy:
                os._exit(0)
            running_id.reset(running)
            _current_job.reset(current)

    async def attempted_async(self, lease: Lease, delivery: Delivery) -> Ending:
        """Run it on the loop; the context is this asyncio task's own."""
        _current_job.set(UnreadJob(lease.job_id, self._client))
        running_id.set(lease.job_id)
        try:
            return await self._attempt.run_async(delivery)
        except ReturnedRetry as word:
            return AskedAgain(retry=word.retry)

    def overran(
        self, delivery: Delivery, seconds: float, elapsed: timedelta
    ) -> Retried | Failed:
        """Return what comes of a run on a loop that was ended after its seconds."""
        error = TaskTimeoutError(
            f"{delivery.task.name}: Task exceeded maximum timeout value "
            f"({seconds:g} seconds)"
        )
        return self._attempt.broken_off(delivery, error, elapsed)

    def succeed(self, lease: Lease, outcome: Succeeded, began: float) -> bool:
        """Note a success, to be written soon; tell whether it could be."""
        ended = self._epoch + self._clock.monotonic()
        value = b"" if outcome.encoded == b"null" else outcome.encoded
        shown = ended - began > SHOWN_AFTER
        try:
            self._supply.acknowledge(lease, value, began, ended, shown=shown)
        except ResultError as error:
            self.end_by_rq(lease, Failed(error=error.with_traceback(None)), began)
            return False
        if lease.meta and b'"unique"' in lease.meta:
            self._supply.flush()
            self._by_rq.let_go(lease)
        return True

    def end_by_rq(self, lease: Lease, outcome: Ending, began: float) -> None:
        """Write any other outcome, now."""
        match outcome:
            case Succeeded():
                raise AssertionError("a success is acknowledged")
            case Retried(error=error, delay=delay):
                self._by_rq.retry(lease, error, delay, began)
            case Failed(error=error):
                self._by_rq.fail(lease, error, began)
            case AskedAgain(retry=retry):
                self._by_rq.succeed(lease, retry, began)
                return
            case _:
                assert_never(outcome)
        self._look_for_poison(error)

    def perform_by_rq(self, lease: Lease) -> bool:
        """Run a job and write its outcome as RQ does; tell whether it succeeded."""
        return self._by_rq.perform(lease)

    def stop(self, lease: Lease, began: float) -> None:
        """Write that a person has stopped it."""
        self._by_rq.stop(lease, began)

    def finish_parent(self, noted: Noted) -> None:
        """Write a success that others wait for."""
        result = json.loads(noted.value) if noted.value else None
        self._by_rq.succeed(noted.lease, result, noted.began)

    def _look_for_poison(self, error: BaseException) -> None:
        if self._has_device and cuda.is_poisoned(error):
            self.poison = error
