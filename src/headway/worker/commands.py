"""What RQ's commands ask of a worker: to stop, or to stop a job of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from headway.wire import keys

if TYPE_CHECKING:
    from redis import Redis


class Command(NamedTuple):
    """One message to one worker record."""

    worker: str
    name: str
    job_id: str
    execution_id: str


class Commands:
    """The channels of a worker's records."""

    def __init__(self, client: Redis, workers: Sequence[str]) -> None:
        self._channels = {keys.commands_to(name): name for name in workers}
        untyped: Any = client  # redis-py is typed in part
        self._pubsub = untyped.pubsub(ignore_subscribe_messages=True)
        self._subscribed = False

    def received(self) -> Iterator[Command]:
        """Return what has come since the last look; subscribes at the first.

        Raises:
            RedisError: Redis is away; the channels are taken up again afterwards.
        """
        if not self._subscribed:
            self._pubsub.subscribe(*self._channels)
            self._subscribed = True
        try:
            while (message := self._pubsub.get_message(timeout=0)) is not None:
                if (command := self._read(message)) is not None:
                    yield command
        except RedisError:
            self._subscribed = False
            raise

    def close(self) -> None:
        """Leave the channels."""
        with contextlib.suppress(RedisError):
            self._pubsub.close()

    def _read(self, message: dict[str, Any]) -> Command | None:
        worker = self._channels.get(message["channel"].decode())
        try:
            told = json.loads(message["data"])
            name = str(told["command"])
        except (ValueError, KeyError, TypeError):
            return None  # nothing that RQ sends
        if worker is None:
            return None
        job_id, execution_id = told.get("job_id", ""), told.get("execution_id", "")
        return Command(worker, name, str(job_id), str(execution_id))
