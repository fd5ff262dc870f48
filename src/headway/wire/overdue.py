"""Jobs that were given to an engine, which gives them to no worker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headway.wire import keys
from headway.wire.reading import text
from headway.wire.scripts import Script, Value

if TYPE_CHECKING:
    from redis import Redis

#: For how long a message may be under way until it is taken for lost, in seconds.
UNDER_WAY = 10
#: How many jobs of a queue are put back at once.
MOST = 200
_SCRIPT = Script("overdue")


class Overdue:
    """Puts them back, to be sent once more."""

    def __init__(self, client: Redis) -> None:
        self._client = client

    def queues(self, names: Sequence[str]) -> list[str]:
        """Return those of these queues of which an engine has jobs."""
        pipeline = self._client.pipeline(transaction=False)
        for name in names:
            pipeline.zcard(keys.sent(name))
        counts = zip(names, pipeline.execute(), strict=True)
        return [name for name, count in counts if count]

    def put_back(self, queue: str, *, nothing_waits: bool) -> list[str]:
        """Put back what seems lost of a queue; return the ids.

        Where nothing waits in the engine's hands that is all that was sent long ago;
        otherwise what was sent long before a job that a worker was given.
        """
        places = [keys.queue(queue), keys.sent(queue), keys.SENT_MARKS]
        empty = "1" if nothing_waits else "0"
        arguments: list[Value] = [queue, empty, UNDER_WAY, MOST, keys.JOB_PREFIX]
        return [text(found) for found in _SCRIPT(self._client, places, arguments)]
