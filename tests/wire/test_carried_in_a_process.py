"""Jobs in the hands of one process of an engine's worker, whatever happens to them."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event, get_ident

import pytest
from rq import Callback, Repeat

from headway.engines.process import Process
from headway.errors import Interrupted, TaskTimeoutError
from headway.outcome import Failed, Succeeded
from headway.wire import keys
from headway.worker.deadlines import LOOK, Deadlines
from headway.worker.ending import Stopped
from tests.wire.proxy import LOST

DEADLINE = 30


@pytest.fixture
def process(app, basic, proxy, monkeypatch, tmp_path):
    """A process whose jobs run in threads, as those of Dramatiq; Redis is a proxy."""
    monkeypatch.setenv("REDIS_URL", proxy.url)
    monkeypatch.setenv("SAMPLE_LOG", str(tmp_path / "log"))
    with app.using_engine("dramatiq"):
        made = Process(app, "dramatiq", ["default"], in_threads=True)
        made.keep()
        yield made
        (tmp_path / "go").touch()
        made.close()


@pytest.fixture
def carried(process):
    return process.carried


@pytest.fixture
def threads():
    with ThreadPoolExecutor() as made:
        yield made


@pytest.fixture
def until():
    """Wait for a condition."""

    def wait(condition):
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end
            time.sleep(0.01)

    return wait


def lose(carried):
    """Have others recover what a process holds, as of one that was frozen."""
    carried.office.broker.recover(
        carried.holder, begun=None, story="frozen", crash_limit=9, gone="dead"
    )


def test_a_job_may_come_back_to_the_process_that_has_lost_it(
    basic, carried, threads, until, tmp_path
):
    job = basic.held.enqueue("one")
    first = threads.submit(carried.run, job.id)
    until(lambda: len(carried.running) == 1)
    lose(carried)
    second = threads.submit(carried.run, job.id)
    until(lambda: len(carried.running) == 2)
    (tmp_path / "go").touch()
    for run in (first, second):
        assert isinstance(run.result(DEADLINE), Succeeded)
    assert job.status == "finished"
    assert carried.running == {}


def test_a_job_that_is_being_taken_is_not_given_back_with_another(
    basic, carried, threads, until, proxy, store
):
    running, taken = basic.wait_to_be_stopped.enqueue(), basic.add.enqueue(1)
    interrupted = threads.submit(carried.run, running.id)
    until(lambda: running.info().status == "started")
    go, hit = Event(), proxy.hit

    def lose_answers(label):
        is_lost = label == "EVALSHA:reserve_one" and not go.is_set()
        return LOST["cut after"] if is_lost else None

    proxy.rule = lose_answers
    being_taken = threads.submit(carried.run, taken.id)
    until(lambda: hit["EVALSHA:reserve_one"] > 0)
    assert carried.leave()
    assert interrupted.result(DEADLINE) is None
    go.set()
    assert isinstance(being_taken.result(DEADLINE), Succeeded)
    assert (running.status, taken.status) == ("queued", "finished")
    assert store.hget(keys.job(taken.id), "headway_delivery") == b"1"
    assert store.lrange(keys.queue("default"), 0, -1) == [running.id.encode()]


def test_what_rq_is_to_do_after_an_async_job_is_done(basic, carried, queue):
    repeat = Repeat(times=1, interval=600)
    job = queue.enqueue("sample_tasks.basic.add_async", 1, 2, repeat=repeat)
    asyncio.run(carried.run_async(job.id))
    assert job.get_status() == "scheduled"
    assert job.return_value() == 3


def test_a_message_cannot_have_a_plain_task_hold_up_the_loop(basic, carried):
    job = basic.busy.enqueue()
    ending = asyncio.run(carried.run_async(job.id))
    assert isinstance(ending, Failed)
    assert isinstance(ending.error, TaskTimeoutError)
    assert job.status == "failed"


def test_an_async_job_that_is_being_taken_as_its_worker_leaves_is_given_back(
    basic, carried, proxy, store
):
    job = basic.wait_to_be_stopped_async.enqueue()

    async def leave():
        run = asyncio.ensure_future(carried.run_async(job.id))
        taken = asyncio.Event()
        loop = asyncio.get_running_loop()

        def tell(label):
            if label == "EVALSHA:reserve_one":
                loop.call_soon_threadsafe(taken.set)

        proxy.rule = tell
        await taken.wait()
        run.cancel()
        await asyncio.wait([run])
        return run.cancelled()

    assert asyncio.run(leave())
    assert job.status == "queued"
    assert store.lrange(keys.queue("default"), 0, -1) == [job.id.encode()]


class LateBy(Deadlines):
    """Raises into a job as it is said to be over, as bad luck has it."""

    def end(self):
        if not self.has_raised:
            self.has_raised = True
            raise Stopped
        super().end()

    has_raised = False


def test_nothing_is_raised_into_the_thread_of_a_job_that_is_over(basic, carried):
    carried.alarm = LateBy()
    job = basic.add.enqueue(1)
    assert carried.run(job.id) is None
    assert job.status == "queued"  # it was another that was to be stopped
    carried.alarm.break_off(get_ident(), Stopped)
    time.sleep(4 * LOOK)


@pytest.mark.parametrize(
    ("error", "status"), [(Stopped, "stopped"), (Interrupted, "queued")]
)
def test_what_only_rq_can_run_is_broken_off_as_well(
    carried, queue, threads, until, error, status
):
    callback = Callback("sample_tasks.basic.nowhere")
    job = queue.enqueue("sample_tasks.basic.wait_to_be_stopped", on_success=callback)
    run = threads.submit(carried.run, job.id)
    until(lambda: carried.running)
    (number,) = carried.runs_of(job.id)
    until(lambda: not carried.break_off(number, error))
    assert run.result(DEADLINE) is None
    assert job.get_status() == status


def test_a_job_that_raises_what_ends_a_worker_has_crashed_one(basic, carried):
    job = basic.interrupts.enqueue()
    with pytest.raises(KeyboardInterrupt):
        carried.run(job.id)
    assert job.status == "queued"
    assert "it raised what ends a worker" in job.info().crashes[0]
