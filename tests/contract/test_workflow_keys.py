"""What a workflow has written is gone some time after its end, however it ended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from headway import JobStatus, chain, chord, group, previous, workflow
from headway.errors import JobFailedError, JobStateError
from headway.wire import keys

ENGINES = ("rq", "celery-redis")
HOUR = timedelta(hours=1)
ABOUT_JOBS = (keys.JOB_PREFIX, keys.RESULTS_PREFIX, keys.WORKFLOW_PREFIX)


def _lasting(store) -> list[str]:
    names = [key.decode() for key in store.scan_iter()]
    about_jobs = [name for name in names if name.startswith(ABOUT_JOBS)]
    return [name for name in about_jobs if store.ttl(name) == -1]


def _booked(tasks, text: str, **options):
    undo = tasks.add.message(1)
    return tasks.order.using(compensate=undo, **options).message(text)


def _failed(real, _path):
    tasks = real.tasks
    chain(_booked(tasks, "1"), _booked(tasks, "2"), tasks.fail.message("x")).enqueue()
    real.work()


def _failed_with_a_compensation_that_fails(real, _path):
    tasks = real.tasks
    pay = tasks.order.using(compensate=tasks.fail.message("x"))
    chain(pay.message("1"), tasks.fail.message("x"), tasks.add).enqueue()
    real.work()


def _failed_and_retried_in_vain(real, _path):
    tasks = real.tasks
    flow = chain(_booked(tasks, "1"), tasks.fail.message("x"), tasks.add).enqueue()
    real.work()
    flow.retry()
    real.work()


def _failed_and_retried(real, path):
    tasks = real.tasks
    flow = chain(_booked(tasks, "1"), tasks.mend.message(str(path))).enqueue()
    real.work()
    path.touch()
    flow.retry()
    real.work()
    assert flow.status == "finished"


def _canceled_and_retried(real, _path):
    tasks = real.tasks
    later = tasks.add.using(delay=HOUR).message(1)
    flow = chain(_booked(tasks, "1"), later, tasks.add).enqueue()
    real.work()
    flow.cancel()
    real.work()
    flow.retry()
    real.work()
    real.pass_time(2 * HOUR)
    real.work()
    assert flow.status == "finished"


def _canceled(real, _path):
    tasks = real.tasks
    later = tasks.add.using(delay=HOUR).message(1)
    flow = chain(_booked(tasks, "1"), later, _booked(tasks, "2")).enqueue()
    real.work()
    flow.cancel()
    real.work()


def _gone_on_after_a_failure(real, _path):
    tasks = real.tasks
    failing = tasks.fail.using(on_failure="continue", compensate=tasks.add.message(1))
    chord(
        [_booked(tasks, "1"), failing.message("x")],
        tasks.tell_failures.message(previous),
    ).enqueue()
    real.work()


def _gone_on_after_a_failure_and_retried(real, path):
    tasks = real.tasks
    mended = tasks.mend.using(on_failure="continue", result_ttl=timedelta(seconds=1))
    flow = chord(
        [_booked(tasks, "1"), mended.message(str(path))], tasks.echo.message(previous)
    ).enqueue()
    real.work()
    path.touch()
    flow.retry()
    real.work()
    assert flow.result(timeout=5) == [None, str(path)]


def _fanned_out(real, _path):
    chain(real.tasks.spread.message([1, 2]), real.tasks.add).enqueue()
    real.work()


def _limited(real, _path):
    tasks = real.tasks
    group(*[tasks.fail.message(str(n)) for n in range(5)], limit=2).enqueue()
    tasks.fail.using(on_failure="continue").map(["a", "b", "c"], limit=1).enqueue()
    real.work()


def _with_a_node_deleted(real, _path):
    tasks = real.tasks
    flow = chain(_booked(tasks, "1"), tasks.add.message(1), tasks.add).enqueue()
    flow.job(next(iter(flow.tree().nodes))).delete()
    real.work()


def _with_a_node_canceled(real, _path):
    add = real.tasks.add
    flow = group(
        add.using(on_failure="continue").message(1), add.message(2), limit=1
    ).enqueue()
    flow.job(next(iter(flow.tree().nodes))).cancel()
    real.work()


def _expired(real, _path):
    add = real.tasks.add
    flow = chain(add.using(expires=timedelta(seconds=1)).message(1), add)
    flow.enqueue()
    real.pass_time(HOUR)
    real.work()


def _of_one(real, _path):
    workflow(_booked(real.tasks, "1")).enqueue()
    real.work()


def _alone_and_failed(real, _path):
    real.tasks.fail.enqueue("x")
    real.work()


@pytest.mark.parametrize(
    "happens",
    [
        _failed,
        _failed_with_a_compensation_that_fails,
        _failed_and_retried_in_vain,
        _failed_and_retried,
        _canceled,
        _canceled_and_retried,
        _gone_on_after_a_failure,
        _gone_on_after_a_failure_and_retried,
        _fanned_out,
        _limited,
        _with_a_node_deleted,
        _with_a_node_canceled,
        _expired,
        _of_one,
        _alone_and_failed,
    ],
    ids=lambda happens: happens.__name__.strip("_"),
)
def test_nothing_is_left_for_ever(real, store, tmp_path, happens: Callable[..., None]):
    happens(real, tmp_path / "there")
    assert store.zcard(keys.WORKFLOWS) == 0
    assert store.keys(f"{keys.JOB_PREFIX}*")
    assert _lasting(store) == []


def test_nothing_is_left_for_ever_of_what_was_stopped(real, store, until):
    tasks = real.tasks
    flow = chain(tasks.wait_to_be_stopped.message(), tasks.add.message(1)).enqueue()
    (node, _) = flow.tree().nodes
    real.worker()
    until(lambda: flow.job(node).status is JobStatus.STARTED)
    flow.job(node).cancel()
    until(lambda: flow.tree().has_ended)
    assert _lasting(store) == []
    with pytest.raises(JobFailedError, match=r"stopped \(job .*-1\) was stopped$"):
        flow.result(timeout=5)
    assert str(flow.tree()).splitlines()[1].endswith(f"stopped ({node})")


def test_without_its_record_no_node_is_requeued(real, store):
    flow = chain(real.tasks.fail.message("x"), real.tasks.add).enqueue()
    real.work()
    (node, _) = flow.tree().nodes
    store.delete(*store.keys(f"{keys.workflow(flow.id)}*"))  # as after thirty days
    with pytest.raises(JobStateError, match=r"not known any more.*: send it anew"):
        flow.job(node).requeue()
    assert flow.job(node).status is JobStatus.FAILED
    assert _lasting(store) == []


def test_a_retry_needs_no_set_of_rq_and_what_it_needs_does_not_run_out(
    real, store, tmp_path
):
    tasks, path = real.tasks, tmp_path / "there"
    mended = tasks.mend.using(on_failure="continue").message(str(path))
    flow = chain(_booked(tasks, "1"), mended, tasks.echo).enqueue()
    real.work()
    (_, node, _) = flow.tree().nodes
    assert store.delete(keys.dependents(node))  # it lives for its own `result_ttl`
    path.touch()
    flow.retry()
    kept = store.keys(f"{keys.workflow(flow.id)}*")
    assert {store.ttl(key) for key in kept} == {-1}
    real.work()
    assert flow.result(timeout=5) == str(path)
