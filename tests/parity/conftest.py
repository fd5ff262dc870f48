from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from itertools import cycle

import pytest
from redis import Redis

from tests.parity import story
from tests.parity.contest import Contest
from tests.parity.contestant import HERE, OURS, OURS_IN_RQ, STOCK
from tests.parity.snapshot import Snapshot

Ran = Callable[[str, str], "Future[Snapshot]"]
Told = Callable[[str], dict[str, Snapshot]]
CONTESTANTS = {one.name: one for one in (STOCK, OURS_IN_RQ, OURS)}


@pytest.fixture(scope="session", autouse=True)
def parity_tasks() -> Iterator[None]:
    """A producer that sends functions and objects, not names, has to import them."""
    sys.path.insert(0, str(HERE / "sample"))
    yield
    sys.path.remove(str(HERE / "sample"))


@pytest.fixture(scope="session")
def database(valkey) -> Iterator[Callable[[], str]]:
    """Give out databases of our server, emptied, long before one is given again."""
    numbers = cycle(range(1, 16))

    def take() -> str:
        url = f"{valkey}/{next(numbers)}"
        with Redis.from_url(url) as client:
            client.flushdb()
        return url

    return take


@pytest.fixture(scope="session")
def ran(database) -> Iterator[Ran]:
    """Begin a contestant's run of all scenarios, once; two go on at a time."""
    with ThreadPoolExecutor(max_workers=2) as threads:

        @cache
        def run(contestant: str, serializer: str) -> Future[Snapshot]:
            contest = Contest(url=database(), serializer=serializer)
            return threads.submit(contest.run, CONTESTANTS[contestant])

        yield run


@pytest.fixture(scope="session")
def told(database) -> Iterator[Told]:
    """Return what was seen of a contestant that stayed up; all are watched at once."""
    with ThreadPoolExecutor() as threads:
        seen = {
            name: threads.submit(story.tell, one, database(), "json")
            for name, one in CONTESTANTS.items()
        }
        yield lambda name: seen[name].result()
