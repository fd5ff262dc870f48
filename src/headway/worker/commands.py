"""What RQ's commands ask of a worker: to stop, or to stop a job of it."""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from redis.exceptions import RedisError

from headway.wire import keys
from headway.worker import watch
from headway.worker.member import Doom, Member
from headway.worker.office import Office

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")


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


class Orders:
    """Does what RQ's commands ask."""

    def __init__(
        self,
        office: Office,
        members: Sequence[Member],
        stop: Callable[[], None],
    ) -> None:
        self._office = office
        self._members = members
        self._stop = stop
        self._commands = Commands(office.client, [m.worker for m in members])

    def obey(self) -> None:
        """Do what was asked since the last look."""
        self._office.contact.made(self._do_what_is_told)

    def close(self) -> None:
        """Hear no more."""
        self._commands.close()

    def _do_what_is_told(self) -> None:
        for command in self._commands.received():
            self._do(command)

    def _do(self, command: Command) -> None:
        log.info("%s is told: %s %s", command.worker, command.name, command.job_id)
        member = next(m for m in self._members if m.worker == command.worker)
        match command.name:
            case "shutdown":
                self._stop()
            case "kill-horse":
                for held in watch.running(member):
                    reason = "its process was killed by a command"
                    member.doomed[held.ordinal] = Doom("killed", reason)
            case "stop-job" | "stop-execution":
                self._stop_job(member, command)
            case _:
                log.warning("%s: no such command", command.name)

    def _stop_job(self, member: Member, command: Command) -> None:
        if member.holder is None:
            return
        ids = self._office.broker.held(member.holder)
        for held in watch.running(member):
            job_id = ids.get(held.ordinal, ("", ""))[0]
            execution = member.holder.execution_id(held.ordinal)
            wanted = command.execution_id in ("", execution)
            if job_id == command.job_id and wanted:
                if self._office.plan.runs_many:
                    member.slot.cancel(held.place)
                    return
                reason = "Job stopped by user, work-horse terminated."
                member.doomed[held.ordinal] = Doom("stopped", reason)
                return
        log.warning("not working on job %s, command ignored", command.job_id)
