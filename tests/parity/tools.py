"""What the tools that people look with say: `rq info` and rq-dashboard."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from redis import Redis

from headway.dashboard import Options, create_app
from tests.parity.contestant import rq_command
from tests.parity.snapshot import own_frames

PAGES = {
    "queues": "/rq/0/data/queues.json",
    "workers": "/rq/0/data/workers.json",
    "finished": "/rq/0/data/jobs/default/finished/50/asc/1.json",
    "failed": "/rq/0/data/jobs/default/failed/50/asc/1.json",
    "started": "/rq/0/data/jobs/default/started/50/asc/1.json",
    "job": "/rq/0/data/job/{job_id}.json",
}
#: Times, and an address with a process id, as either tool writes them.
OWN = re.compile(
    r"\d{4}-\d\d-\d\d[T ][\d:.]+(Z|\+00:00)?"
    r"|127\.0\.0\.1:\d+ \d+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """Asks them all, and levels what is one run's own."""

    url: str
    level: Callable[[str], str]

    def say(self, job_id: str) -> dict[str, str]:
        """Return their answers, a path for each value of a page."""
        info = rq_command("info", "--url", self.url)
        return {"rq info": self._levelled(info), **self._pages(job_id)}

    def _pages(self, job_id: str) -> dict[str, str]:
        with Redis.from_url(self.url) as client:
            browser = create_app(client, Options(open_on_loopback=True)).test_client()
            browser.environ_base["HTTP_SEC_FETCH_SITE"] = "same-origin"
            return {
                path: self._levelled(value)
                for name, address in PAGES.items()
                for path, value in _flat(
                    name, browser.get(address.format(job_id=job_id)).json
                )
            }

    def _levelled(self, text: str) -> str:
        return OWN.sub("<own>", self.level(text))


def _flat(path: str, found: Any) -> Iterator[tuple[str, str]]:
    """Return each value of a page; a row stands under its id, not its place."""
    if isinstance(found, dict):
        for name, value in found.items():
            yield from _flat(f"{path}/{name}", value)
    elif isinstance(found, list):
        for index, row in enumerate(found):
            own = row.get("id", index) if isinstance(row, dict) else index
            yield from _flat(f"{path}/{own}", row)
    elif path.endswith(("/pid", "/total_working_time")):
        yield path, "<own>"
    elif path.endswith("/exc_info") and found:
        yield path, own_frames(found)
    else:
        yield path, str(found)
