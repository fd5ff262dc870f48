"""A job's own writes and its row in the same database: kept once, whoever dies."""

from __future__ import annotations

import os
import signal

import psycopg
import pytest
from rq import Callback

from tests.worker.running import until


@pytest.fixture
def environment(environment, database):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS headway_commits, written")
        connection.execute("CREATE TABLE written (word text, fence int)")
    return environment | {"DATABASE_URL": database}


@pytest.fixture
def written(database):
    def rows():
        with psycopg.connect(database) as connection:
            found = connection.execute("SELECT word, fence FROM written ORDER BY word")
            return found.fetchall()

    return rows


def test_what_a_job_writes_is_kept_once_though_its_worker_dies_after_it(
    app, tasks, burst, marks, written
):
    jobs = [tasks.write_and_die.enqueue(f"w{n}") for n in range(5)]
    burst()
    assert [job.result() for job in jobs] == ["was there"] * 5
    assert [marks.count(f"run w{n}") for n in range(5)] == [2] * 5
    assert [word for word, _fence in written()] == [f"w{n}" for n in range(5)]


@pytest.mark.parametrize("mode", [(), ("--concurrency", "3")], ids=["one", "loop"])
def test_what_is_rolled_back_is_written_by_the_next_attempt(
    mode, app, tasks, burst, written
):
    task = tasks.write_async if mode else tasks.write_second_time
    job = task.enqueue("w")
    burst(*mode)
    assert job.result() == "written"
    assert written() == [("w", 2)]


def test_a_worker_that_was_taken_for_dead_cannot_commit(
    app, tasks, worker, marks, written, book
):
    frozen = worker("--lease", "3")
    job = tasks.write_after.enqueue("gate")
    marks.until("begin gate")
    pids = [frozen.process.pid, *frozen.children]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    worker("--lease", "3")
    marks.until("begin gate", times=2)
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    until(lambda: "is ended" in frozen.said, "its child is ended")
    marks.open("gate")
    assert job.result(timeout=8) == "written"
    assert written() == [("gate", 2)]
    assert book.results(job) == 1


def test_an_id_that_is_used_again_is_another_job(app, tasks, burst, written):
    for _ in range(2):
        job = tasks.write.using(job_id="same").enqueue("w")
        burst()
        assert job.result() == "written"
        job.delete()
    assert written() == [("w", 1)] * 2


def test_a_connection_that_commits_by_itself_is_refused(app, tasks, burst):
    job = tasks.write_without_transaction.enqueue()
    burst()
    assert "no transaction is under way" in (job.info().error or "")
    job = tasks.write_into.enqueue()
    burst()
    assert "expected an open connection" in (job.info().error or "")


def test_a_job_that_goes_by_rqs_code_is_fenced_as_well(
    app, tasks, burst, marks, written, stock
):
    job = stock.enqueue(
        "worker_tasks.write_and_die",
        "w",
        on_success=Callback("worker_tasks.called_back"),
        job_id="by-rq",
    )
    burst()
    assert app.job(job.id).result() == "was there"
    assert marks.count("run w") == 2
    assert written() == [("w", 1)]
