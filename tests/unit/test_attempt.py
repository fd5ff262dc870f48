from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Callable
from concurrent import futures
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from headway import App, Queue, Retry, current_job, fixed
from headway.attempt import Attempt
from headway.delivery import Delivery
from headway.errors import ArgumentError, JobExpiredError, ResultError, TaskTimeoutError
from headway.events import Event, JobFailed, JobRetried, JobStarted
from headway.job import LONGEST_LOG_LINE, Progress
from headway.outcome import Failed, Retried, Succeeded

NINE = timedelta(seconds=9)
AGAIN = Retry(attempts=2, backoff=fixed(NINE))


class TooLong(BaseException):
    """What a worker raises into a task that runs too long."""


class Stop(BaseException):
    """What a worker raises for reasons of its own."""


class Refuse(BaseException):
    """What a task raises that is no `Exception`."""


@pytest.fixture
def app() -> App:
    return App(queues=[Queue("default")], tasks="tasks")


@pytest.fixture
def attempt(app) -> Attempt:
    return app.attempt()


class Said:
    """What a running job has said of itself."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.checkpoint: object = None

    def save_progress(self, progress: Progress) -> None:
        print(progress)

    def save_log(self, line: str) -> None:
        self.lines.append(line)

    def save_checkpoint(self, checkpoint: object) -> None:
        self.checkpoint = checkpoint

    def incarnation(self) -> str:
        return "first"


@pytest.fixture
def delivery(app) -> Callable[..., Delivery]:
    def make(function: Callable[..., Any], *args: object, **options: Any) -> Delivery:
        return Delivery(
            **{
                "job_id": "one",
                "task": app.task(function),
                "queue": "default",
                "args": args,
                "kwargs": {},
                "attempt": 1,
                "retry": None,
                "expires_at": None,
                "notes": Said(),
                "timeouts": (TooLong,),
                "interrupts": (Stop,),
            }
            | options
        )

    return make


def not_json() -> object:
    return object()


def raising(error: BaseException) -> Callable[[], None]:
    def fails() -> None:
        raise error

    return fails


def raising_async(error: BaseException) -> Callable[[], Any]:
    async def fails_async() -> None:
        await asyncio.sleep(0)
        raise error

    return fails_async


def run_either(attempt: Attempt, delivery: Delivery) -> object:
    """Run a plain task as a thread would, and an async one as a loop would."""
    if asyncio.iscoroutinefunction(delivery.task.function):
        return asyncio.run(attempt.run_async(delivery))
    return attempt.run(delivery)


def test_what_a_task_returns_is_written_at_once(attempt, delivery):
    def pair(number: int) -> tuple[int, str]:
        return number, "a"

    outcome = attempt.run(delivery(pair, 7))
    assert isinstance(outcome, Succeeded)
    assert (outcome.encoded, outcome.result) == (b'[7,"a"]', [7, "a"])


def test_an_async_task_takes_the_same_steps_on_a_running_loop(attempt, delivery):
    async def double(moment: datetime) -> str:
        await asyncio.sleep(0)
        return type(moment).__name__

    sent = delivery(double, "2026-01-01T00:00:00Z")
    assert asyncio.run(attempt.run_async(sent)).result == "datetime"
    assert attempt.run(sent).result == "datetime"


def test_a_plain_function_that_returns_a_coroutine_is_awaited(attempt, delivery):
    async def later() -> int:
        await asyncio.sleep(0)
        return 5

    def hands_it_over() -> object:
        return later()

    assert attempt.run(delivery(hands_it_over)).result == 5


@pytest.mark.parametrize("kind", [raising, raising_async])
@pytest.mark.parametrize(
    "error",
    [
        SystemExit(3),
        Refuse("no"),
        ValueError("no"),
        asyncio.CancelledError(),
        futures.CancelledError(),
    ],
    ids=repr,
)
def test_whatever_a_task_raises_fails_the_job_and_not_the_worker(
    attempt, delivery, kind, error
):
    outcome = run_either(attempt, delivery(kind(error)))
    assert isinstance(outcome, Failed)
    assert outcome.error is error


def test_a_traceback_begins_in_the_task(attempt, delivery):
    def broken() -> None:
        raise ValueError("here")

    outcome = attempt.run(delivery(broken))
    shown = traceback.format_exception(outcome.error)
    assert "in broken" in shown[1]
    wrong = attempt.run(delivery(lambda number: number))  # the task is not reached
    assert "ArgumentError" in traceback.format_exception(wrong.error)[-1]


def test_a_task_that_exits_fails_with_its_code(app, attempt, delivery):
    told: list[Event] = []
    app.subscribe(told.append, JobFailed)
    attempt.run(delivery(lambda: sys.exit("bye")))
    assert [event.error for event in told] == ["SystemExit: bye"]


@pytest.mark.parametrize("kind", [raising, raising_async])
@pytest.mark.parametrize("error", [KeyboardInterrupt(), Stop()], ids=repr)
def test_what_stops_the_worker_goes_through(app, attempt, delivery, kind, error):
    told: list[Event] = []
    app.subscribe(told.append)
    with pytest.raises(type(error)):
        run_either(attempt, delivery(kind(error), retry=AGAIN))
    assert [type(event) for event in told] == [JobStarted]
    assert current_job() is None


def test_a_stopped_iteration_of_a_task_is_its_failure(attempt, delivery):
    outcome = attempt.run(delivery(raising(StopIteration(1))))
    assert isinstance(outcome, Failed)
    # Python lets no coroutine end by it, and ours are what runs a job.
    assert isinstance(outcome.error.__cause__, StopIteration)


def test_a_run_that_is_cancelled_from_outside_is_its_callers(app, attempt, delivery):
    told: list[Event] = []
    app.subscribe(told.append, JobRetried)
    waiting = asyncio.Event()

    async def waits() -> None:
        waiting.set()
        await asyncio.Event().wait()

    sent = delivery(waits, retry=AGAIN)

    async def worker() -> None:
        running = asyncio.create_task(attempt.run_async(sent))
        await waiting.wait()
        running.cancel()
        await running

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(worker())
    late = TaskTimeoutError("too long")
    outcome = attempt.broken_off(sent, late, timedelta(seconds=1))
    assert outcome == Retried(error=late, delay=NINE)
    assert [event.elapsed for event in told] == [timedelta(seconds=1)]


@pytest.mark.parametrize("kind", [raising, raising_async])
def test_what_ends_a_run_that_took_too_long_is_a_timeout(attempt, delivery, kind):
    outcome = run_either(attempt, delivery(kind(TooLong("after 1 s")), retry=AGAIN))
    assert isinstance(outcome, Retried)
    assert isinstance(outcome.error, TaskTimeoutError)
    assert isinstance(outcome.error.__cause__, TooLong)
    assert str(outcome.error).endswith("after 1 s")


@pytest.mark.parametrize(
    ("function", "options", "kind"),
    [
        (lambda: None, {"args": [1]}, ArgumentError),
        (lambda: None, {"kwargs": {"x": 1}}, ArgumentError),
        (not_json, {}, ResultError),
        (lambda: 1, {"expires_at": datetime(2026, 1, 1, tzinfo=UTC)}, JobExpiredError),
    ],
)
def test_no_other_attempt_is_made_where_it_cannot_help(
    attempt, delivery, function, options, kind
):
    outcome = attempt.run(delivery(function, retry=AGAIN, **options))
    assert isinstance(outcome, Failed)
    assert isinstance(outcome.error, kind)


def test_a_payload_of_another_shape_fails_its_job(attempt, delivery):
    for odd in ({"args": 7}, {"args": [], "kwargs": 7}, {"args": [], "kwargs": ["x"]}):
        assert isinstance(attempt.run(delivery(lambda: 1, **odd)), Failed)


def test_jobs_that_run_at_once_know_each_its_own(attempt, delivery):
    everyone = asyncio.Event()
    there: list[str] = []

    async def who() -> str:
        there.append(current_job().id)
        if len(there) == 3:
            everyone.set()
        await everyone.wait()
        return current_job().id

    async def worker() -> list[object]:
        sent = [delivery(who, job_id=job_id) for job_id in "abc"]
        ended = await asyncio.gather(*map(attempt.run_async, sent))
        return [outcome.result for outcome in ended]

    assert asyncio.run(worker()) == ["a", "b", "c"]
    assert current_job() is None


def test_a_running_job_is_known_by_its_name_and_attempt(attempt, delivery):
    def shown() -> str:
        return repr(current_job())

    shows = attempt.run(delivery(shown, attempt=3)).result
    assert shows.startswith("<job one: ")
    assert shows.endswith("shown, attempt 3>")


def test_a_logged_line_is_cut(attempt, delivery):
    said = Said()

    def talk() -> None:
        current_job().log("x" * 2000)

    attempt.run(delivery(talk, notes=said))
    assert said.lines == ["x" * LONGEST_LOG_LINE]


def test_a_checkpoint_is_read_as_it_was_saved(attempt, delivery):
    said = Said()

    def read_on() -> object:
        before = current_job().last_checkpoint
        current_job().checkpoint({"page": 7, "at": datetime(2030, 1, 31, tzinfo=UTC)})
        return [before, current_job().last_checkpoint]

    found = attempt.run(delivery(read_on, notes=said, checkpoint={"page": 3})).result
    saved = {"page": 7, "at": "2030-01-31T00:00:00Z"}
    assert found == [{"page": 3}, saved]
    assert said.checkpoint == saved


@pytest.mark.parametrize(
    ("place", "reason"),
    [(object(), "cannot be written as JSON"), ("x" * 70_000, "at most 65536 are kept")],
    ids=["no JSON", "too large"],
)
def test_a_checkpoint_that_cannot_be_kept_is_refused(attempt, delivery, place, reason):
    said = Said()
    ended = attempt.run(delivery(lambda: current_job().checkpoint(place), notes=said))
    assert isinstance(ended.error, ArgumentError)
    assert reason in str(ended.error)
    assert said.checkpoint is None


def test_an_event_that_nobody_asked_for_is_not_told(app, attempt, delivery):
    told: list[Event] = []
    app.subscribe(told.append, JobFailed)
    attempt.run(delivery(lambda: 1))
    assert told == []
    assert not app.events.wants(JobStarted)
    assert app.events.wants(JobFailed)
