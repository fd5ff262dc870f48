from __future__ import annotations

import os

import pytest
import redis

from headway.testing import MovedClock
from tasks.brain import runs
from tasks.brain.watch import RESUMES, StalledError, Watch
from tasks.ingest import ingest

pytestmark = pytest.mark.usefixtures("brain")


class Notes:
    def __init__(self):
        self.lines, self.runs = [], []

    def moved(self, run):
        self.runs.append(run)

    def said(self, line):
        self.lines.append(line)


class Clock(MovedClock):
    """A clock on which every sleep lasts a second, in which something happens."""

    happens = staticmethod(lambda: None)

    def sleep(self, seconds):
        super().sleep(1)
        self.happens()


@pytest.fixture
def watch(folder):
    with redis.Redis.from_url(os.environ["REDIS_URL"]) as client:
        yield Watch(
            folder=folder, key="k", redis=client, listener=Notes(), clock=Clock()
        )  # fmt: skip


def test_a_run_is_followed_to_its_end(watch, folder, work):
    ingest.enqueue(folder, "k")
    watch.clock.happens = work
    run = watch.until_complete()
    assert (run.done, run.found, run.share) == (3, 3, 1.0)
    assert watch.listener.runs[-1].complete
    assert watch.listener.lines == []
    assert runs.latest().ended is not None


def test_a_first_job_that_was_lost_is_sent_again(watch, work):
    watch.clock.happens = work
    assert watch.until_complete().new == 3


def test_steps_that_were_lost_are_sent_again(watch, folder, work):
    ingest(folder, "k")
    watch.redis.flushdb()
    watch.clock.happens = work
    assert watch.until_complete().new == 3
    assert "enqueued 3 documents again" in watch.listener.lines[0]


def test_what_never_comes_fails_with_a_reason_and_does_not_hang(watch, folder):
    run = ingest(folder, "k")
    watch.redis.flushdb()
    watch.clock.happens = watch.redis.flushdb
    assert watch.until_complete().failed == 3
    assert all("without a result" in reason for reason in runs.failures(run).values())
    assert sum("again" in line for line in watch.listener.lines) == RESUMES


def test_where_nobody_works_it_says_so_and_gives_up(watch, folder):
    ingest.enqueue(folder, "k")
    with pytest.raises(StalledError, match=r"1 queued.*no worker is there"):
        watch.until_complete()
    assert watch.listener.lines[0].startswith("waiting: jobs: 1 queued")


def test_a_redis_that_is_away_is_waited_for(watch, folder, work):
    ingest.enqueue(folder, "k")
    alive = watch.redis
    with redis.Redis.from_url("redis://127.0.0.1:1") as dead:
        watch.redis = dead

        def come_back():
            if any("away" in line for line in watch.listener.lines):
                watch.redis = alive
                work()

        watch.clock.happens = come_back
        assert watch.until_complete().new == 3
