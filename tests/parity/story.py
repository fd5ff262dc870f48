"""What is done to a worker that stays up, step by step, the same to each contestant.

Each step leaves jobs in the database, and may note what is there, or what one of RQ's
tools says, at that moment; all of it is compared.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from threading import Event
from time import monotonic, time

from redis import Redis
from rq import Callback, Repeat, Retry, Worker
from rq.command import (
    send_kill_horse_command,
    send_shutdown_command,
    send_stop_execution_command,
    send_stop_job_command,
)
from rq.job import Job
from rq.serializers import resolve_serializer
from rq.suspension import resume, suspend

from tests.parity.contestant import HERE, Contestant, environment
from tests.parity.line import Line
from tests.parity.snapshot import Reader, Snapshot, Value
from tests.parity.tools import Tools

PATIENCE = 15
ENDED = ("finished", "failed", "stopped", "canceled")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running worker, and what its producers and its keepers can do."""

    url: str
    worker: str
    client: Redis
    serializer: str
    began: float
    #: What was seen, by moment: `at the end` is the last one.
    seen: dict[str, Snapshot] = field(default_factory=dict)

    def line(self, scenario: str) -> Line:
        return Line(
            client=self.client,
            serializer=self.serializer,
            scenario=scenario,
            listener="",
        )

    def take(self, step: Callable[[Stage], None]) -> None:
        """Do a step; one that cannot be done is a difference, and the next goes on."""
        try:
            step(self)
        except AssertionError as error:
            self.note(f"{step.__name__}", went=str(error))
        else:
            self.note(f"{step.__name__}", went="well")

    def look(self, moment: str) -> None:
        """Note all that the database holds."""
        self.seen[moment] = self.reader.read()

    def note(self, moment: str, **said: Value) -> None:
        self.seen[moment] = dict(said)

    def ask_the_tools(self, moment: str, job: Job) -> None:
        tools = Tools(url=self.url, level=self.reader.level)
        self.note(moment, **tools.say(job.id))

    @property
    def reader(self) -> Reader:
        return Reader(client=self.client, worker=self.worker, began=self.began)

    def until_status(self, job: Job, *expected: str) -> None:
        self.until(
            lambda: self.client.hget(job.key, "status") in _bytes(expected or ENDED),
            f"{job.id} is {' or '.join(expected or ENDED)}",
        )

    def until_worker(self, state: str) -> None:
        """Wait for what RQ's tools show of the worker."""

        def there() -> bool:
            workers = Worker.all(connection=self.client)
            return bool(workers) and all(one.get_state() == state for one in workers)

        self.until(there, f"the worker is {state}")

    def until_began(self, key: str, times: int = 1) -> None:
        self.until(lambda: self.client.llen(f"trace:{key}") == times, f"{key} began")

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = monotonic() + PATIENCE
        while not condition():
            assert monotonic() < deadline, f"in {PATIENCE} s it was not so: {what}"
            Event().wait(0.02)


def tell(contestant: Contestant, url: str, serializer: str) -> dict[str, Snapshot]:
    """Start a worker, do all the steps, stop it; return what was seen."""
    with Redis.from_url(url) as client:
        client.flushdb()
        stage = Stage(
            url=url,
            worker=contestant.worker,
            client=client,
            serializer=serializer,
            began=time(),
        )
        process = subprocess.Popen(
            contestant.argv(url, serializer, "--with-scheduler"),
            env=environment(url),
            cwd=HERE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            stage.until_worker("idle")
            for step in STEPS:
                stage.take(step)
            send_shutdown_command(client, _record(client))
            process.communicate(timeout=PATIENCE)
        finally:
            process.kill()
            process.communicate()
        stage.note("exit", code=str(process.returncode))
        stage.look("at the end")
        return stage.seen


def _record(client: Redis) -> str:
    """Return the name under which RQ's tools know the worker."""
    (worker,) = Worker.all(connection=client)
    return worker.name


def _bytes(texts: tuple[str, ...]) -> list[bytes]:
    return [text.encode() for text in texts]


# The steps


def stop_a_job(stage: Stage) -> None:
    """Look at a job that runs, and at the worker; then stop the job by command."""
    line = stage.line("stop_job")
    told = Callback("parity_tasks.callbacks.stopped")
    job = line.send("running", "calls.hang", line.id("running"), on_stopped=told)
    stage.until_began(job.id)
    stage.until(job.get_executions, "the execution can be seen")
    stage.until_worker("busy")
    stage.look("while a job runs")
    stage.ask_the_tools("what the tools say of a job that runs", job)
    send_stop_job_command(
        stage.client, job.id, serializer=resolve_serializer(stage.serializer)
    )
    stage.until_status(job, "stopped")
    stage.until_worker("idle")


def stop_an_execution(stage: Stage) -> None:
    line = stage.line("stop_execution")
    told = Callback("parity_tasks.callbacks.stopped_raises")
    again = Retry(max=2)
    job = line.send(
        "running", "calls.hang", line.id("running"), on_stopped=told, retry=again
    )
    stage.until(job.get_executions, "the execution can be seen")
    (execution,) = job.get_executions()
    stage.until_began(job.id)
    send_stop_execution_command(stage.client, job.id, execution.id)
    stage.until_status(job, "stopped")
    stage.until_worker("idle")


def kill_a_child(stage: Stage) -> None:
    line = stage.line("kill_horse")
    job = line.send("plain", "calls.hang", line.id("plain"))
    stage.until_began(job.id)
    send_kill_horse_command(stage.client, _record(stage.client))
    stage.until_status(job, "failed")
    again = line.send(
        "retried", "calls.hang_once", line.id("retried"), retry=Retry(max=1)
    )
    stage.until_began(again.id)
    send_kill_horse_command(stage.client, _record(stage.client))
    stage.until_status(again, "finished")


def suspend_and_resume(stage: Stage) -> None:
    line = stage.line("suspend")
    busy = line.send("busy", "calls.wait", line.id("busy"))
    stage.until_began(busy.id)
    suspend(stage.client)
    waiting = line.send("waiting", "calls.trace", line.id("waiting"), "run")
    stage.client.rpush(f"go:{busy.id}", "go")
    stage.until_status(busy)
    stage.until_worker("suspended")
    stage.look("while it is suspended")
    resume(stage.client)
    stage.until_status(waiting)
    stage.until_worker("idle")


def send_for_later(stage: Stage) -> None:
    """Let the worker's scheduler bring what is due in a second."""
    line = stage.line("scheduled")
    second = timedelta(seconds=1)
    jobs = [
        line.send_at(second, "in", "calls.echo", 1),
        line.send(
            "retried",
            "calls.fail_until",
            line.id("retried"),
            2,
            retry=Retry(max=2, interval=1),
        ),
        line.send("returned", "calls.ask_again", line.id("returned"), 2, 1),
    ]
    repeat = Repeat(times=2, interval=1)
    line.send("repeated", "calls.trace", line.id("repeated"), "run", repeat=repeat)
    for job in jobs:
        stage.until_status(job)
    stage.until_began(line.id("repeated"), times=3)
    stage.until_worker("idle")


def requeue(stage: Stage) -> None:
    line = stage.line("requeue")
    mended = line.send("mended", "calls.fail_until", line.id("mended"), 2)
    again = line.send("again", "calls.fail", "x")
    front = line.send("front", "calls.fail_until", line.id("front"), 2)
    for job in (mended, again, front):
        stage.until_status(job, "failed")
    for job, at_front in ((mended, False), (again, False), (front, True)):
        self = Job.fetch(job.id, stage.client, line.queue().serializer)
        self.requeue(at_front=at_front)
    for job in (mended, front):
        stage.until_status(job, "finished")
    stage.until(lambda: stage.client.xlen(f"rq:results:{again.id}") == 2, "it failed")
    stage.until_worker("idle")
    stage.ask_the_tools("what the tools say of a job that failed", again)


def wait_for_a_result(stage: Stage) -> None:
    line = stage.line("latest_result")
    for part, call, value in (
        ("good", "calls.echo", {"a": 1}),
        ("bad", "calls.fail", "x"),
        ("none", "calls.echo", None),
    ):
        job = line.send(part, call, value)
        fetched = Job.fetch(job.id, stage.client, line.queue().serializer)
        result = fetched.latest_result(timeout=2)
        assert result, f"no result of {job.id} in two seconds"
        stage.note(
            f"a result that was waited for: {part}",
            kind=result.type.name,
            value=repr(result.return_value),
            last=(result.exc_string or "").strip().rpartition("\n")[2],
            status=str(fetched.get_status()),
        )


def take_away_a_running_job(stage: Stage) -> None:
    line = stage.line("taken_away")
    for part, act in (("canceled", Job.cancel), ("deleted", Job.delete)):
        job = line.send(part, "calls.wait", line.id(part))
        stage.until_began(job.id)
        stage.until(job.get_executions, "the execution can be seen")
        stage.until_worker("busy")
        act(Job.fetch(job.id, stage.client, line.queue().serializer))
        stage.look(f"while it is {part}")
        stage.client.rpush(f"go:{job.id}", "go")
        stage.until_worker("idle")


STEPS = (
    stop_a_job,
    stop_an_execution,
    kill_a_child,
    suspend_and_resume,
    send_for_later,
    requeue,
    wait_for_a_result,
    take_away_a_running_job,
)
