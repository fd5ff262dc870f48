"""What is opened once in a child, and why children are replaced."""

from __future__ import annotations

from collections import Counter
from time import monotonic

import pytest

from tests.worker.running import until


@pytest.mark.parametrize("mode", [(), ("--threads", "2")], ids=["one", "threads"])
def test_resources_are_opened_once_in_a_child_and_closed_at_its_end(
    mode, app, tasks, worker, marks
):
    jobs = app.enqueue_many([tasks.count.message() for _ in range(40)])
    running = worker("--max-jobs-per-child", "10", *mode)
    found = [tuple(job.result(timeout=10)) for job in jobs]
    by_child = Counter(pid for pid, _ in found)
    assert sum(by_child.values()) == 40
    if not mode:
        assert sorted(by_child.values()) == [10] * 4
    assert len(by_child) == 4
    assert running.stop() == 0
    for pid in by_child:
        assert marks.count(f"opened {pid}") == marks.count(f"closed {pid}") == 1
        assert marks.count(f"hook {pid}") == 1
        assert sorted(n for p, n in found if p == pid) == [*range(1, by_child[pid] + 1)]


def test_children_that_get_nowhere_are_not_started_again_and_again(
    app, tasks, worker, marks
):
    def tries():
        return sum(line.startswith("hook ") for line in marks.all())

    marks.open("no-start")
    job, begin = tasks.short.enqueue("at last"), monotonic()
    running = worker()
    until(lambda: tries() >= 5, "five tries")
    assert monotonic() - begin > 0.1 + 0.2 + 0.4 + 0.8  # the pauses between them
    marks.close("no-start")
    assert job.result(timeout=10) == "at last"
    assert "the database is down" in running.said


def test_a_child_smaller_than_nothing_runs_its_jobs_all_the_same(
    app, tasks, worker, marks
):
    running = worker("--max-memory-per-child", "16")
    jobs = app.enqueue_many([tasks.short.message(str(n)) for n in range(3)])
    assert [job.result(timeout=10) for job in jobs] == ["0", "1", "2"]
    assert "a child is replaced" in running.said


def test_progress_of_any_number_is_saved(app, tasks, burst):
    job = tasks.decimal_progress.enqueue()
    burst()
    assert job.status == "finished"
    assert job.progress.done == 1.0


def test_a_child_that_has_grown_too_large_is_replaced(app, tasks, worker, marks):
    running = worker("--max-memory-per-child", "300")
    small = [tasks.grow.enqueue(1).result(timeout=10) for _ in range(2)]
    large = tasks.grow.enqueue(400).result(timeout=10)
    after = tasks.grow.enqueue(1).result(timeout=10)
    assert {*small, large} == {small[0]}
    assert after != large
    assert running.stop() == 0


def test_a_hook_of_a_queue_is_called_where_it_is_served(app, tasks, worker, marks):
    first = worker("default")
    tasks.short.enqueue("a")
    marks.until("run a")
    assert not marks.count("hook of one")
    second = worker("one")
    tasks.short.using(queue="one").enqueue("b")
    marks.until("run b")
    assert marks.count("hook of one") == 1
    assert (first.stop(), second.stop()) == (0, 0)


def test_a_worker_whose_children_have_all_been_replaced_says_so_in_no_warning(
    app, tasks, burst
):
    app.enqueue_many([tasks.short.message(str(n)) for n in range(20)])
    said = burst("--max-jobs-per-child", "5")
    assert "WARNING" not in said


def test_progress_in_a_loop_costs_few_writes_and_the_last_one_stays(
    app, tasks, burst, store
):
    job = tasks.report.enqueue(1000)
    store.config_resetstat()
    burst()
    assert job.progress.done == 1000
    assert job.info().log == ("all said",)
    calls = {name: stats["calls"] for name, stats in store.info("commandstats").items()}
    assert sum(calls.values()) < 300


def test_a_note_is_there_while_the_job_runs(app, tasks, worker, marks):
    worker()
    job = tasks.report_then_wait.enqueue("gate")
    until(lambda: job.progress is not None, "the first report")
    assert job.progress.done == 1
    marks.open("gate")
    until(lambda: job.status == "finished", "finished")
    assert job.progress.done == 2
    assert job.info().log == ("late",)
