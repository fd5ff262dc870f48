"""One run: an emptied database, the jobs of a producer, a worker, what it left."""

from __future__ import annotations

from dataclasses import dataclass
from time import time

from redis import Redis

from tests.parity.contestant import Contestant
from tests.parity.line import Line
from tests.parity.listener import Listener
from tests.parity.scenarios import SCENARIOS, Scenario
from tests.parity.snapshot import Reader, Snapshot


def scenarios_of(serializer: str) -> list[Scenario]:
    """Return the scenarios that exist under a serializer."""
    return [one for one in SCENARIOS if serializer in one.serializers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Contest:
    """The scenarios, sent with a serializer and run in a burst by a contestant."""

    url: str
    serializer: str
    #: Of these scenarios alone, if any is named.
    only: tuple[str, ...] = ()

    def run(self, contestant: Contestant) -> Snapshot:
        """Return what the database holds in the end, and what the worker said."""
        with Redis.from_url(self.url) as client, Listener() as listener:
            client.flushdb()
            began = time()
            self._send(client, listener)
            contestant.work(self.url, self.serializer, "--burst")
            reader = Reader(
                client=client,
                worker=contestant.worker,
                aliases={listener.address: "<listener>"},
                began=began,
            )
            return {**reader.read(), **listener.heard(reader.level)}

    def _send(self, client: Redis, listener: Listener) -> None:
        for scenario in scenarios_of(self.serializer):
            if not self.only or scenario.name in self.only:
                line = Line(
                    client=client,
                    serializer=self.serializer,
                    scenario=scenario.name,
                    listener=listener.address,
                )
                scenario.send(line)
