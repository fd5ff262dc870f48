"""What `rq worker` can be told on its command line, with either worker."""

from __future__ import annotations

from collections.abc import Callable
from time import time

import pytest
from redis import Redis
from rq import Retry

from tests.parity.comparison import differences, unexplained
from tests.parity.contestant import (
    OURS_IN_RQ,
    STOCK,
    Contestant,
    environment,
    rq_command,
)
from tests.parity.line import Line
from tests.parity.meant import MEANT
from tests.parity.snapshot import Reader, Snapshot

Send = Callable[[Line], None]
HANDLER = ("--exception-handler", "parity_tasks.handlers.note")


def _five_jobs(line: Line) -> None:
    line.send("good", "calls.echo", 1)
    line.send("bad", "calls.fail", "x")
    line.send("retried", "calls.fail", "x", retry=Retry(max=1))
    line.send("left", "calls.echo", 1)
    line.send("left_too", "calls.echo", 1)


def _some_in_each_queue(line: Line) -> None:
    for number in range(2):
        for queue in ("low", "default", "high"):
            part = f"{queue}{number}"
            line.send(part, "calls.trace", line.id("order"), part, to=queue)
    line.send("bad", "calls.fail", "x")


CASES: dict[str, tuple[Send, tuple[str, ...]]] = {
    "results, handlers and a number of jobs": (
        _five_jobs,
        ("--burst", "--results-ttl", "777", "--max-jobs", "3", *HANDLER),
    ),
    "turns, no handler and a time without work": (
        _some_in_each_queue,
        (
            *("--dequeue-strategy", "round_robin"),
            *("--max-idle-time", "1"),
            "--disable-default-exception-handler",
        ),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_options_of_rqs_command_do_the_same_with_our_worker(database, case):
    url = database()
    stock, ours = _left(STOCK, url, case), _left(OURS_IN_RQ, url, case)
    found = unexplained(differences(stock, ours), MEANT)
    assert not found, "\n".join(map(str, found))


def test_another_prefix_of_rqs_keys_is_honoured(database):
    url = database()
    stock, ours = _left_under_prefix(STOCK, url), _left_under_prefix(OURS_IN_RQ, url)
    assert stock["rq:job:prefix--good.status"] == "finished"
    found = unexplained(differences(stock, ours), MEANT)
    assert not found, "\n".join(map(str, found))


def _left_under_prefix(contestant: Contestant, url: str) -> Snapshot:
    env = {"RQ_KEY_PREFIX": "other"}
    with Redis.from_url(url) as client:
        client.flushdb()
        began = time()
        for part, call in (("good", "echo"), ("bad", "fail")):
            rq_command(
                *("enqueue", "-u", url, "-S", "json", "--job-id", f"prefix--{part}"),
                *(f"parity_tasks.calls.{call}", "text"),
                env=environment(url) | env,
            )
        contestant.work(url, "json", "--burst", env=env)
        assert not list(client.scan_iter("rq:*"))
        reader = Reader(
            client=client, worker=contestant.worker, began=began, prefix="other"
        )
        return reader.read()


def _left(contestant: Contestant, url: str, case: str) -> Snapshot:
    send, options = CASES[case]
    with Redis.from_url(url) as client:
        client.flushdb()
        began = time()
        send(Line(client=client, serializer="json", scenario="options", listener=""))
        contestant.work(url, "json", *options)
        return Reader(client=client, worker=contestant.worker, began=began).read()
