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
from headway.worker.member import STOPPED, Doom, Member
from headway.worker.office import Office
from headway.worker.slot import Held, Told

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

#: For how long a job that is to be stopped is looked for, in seconds.
PATIENCE = 1.0


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
        except (ValueError, KeyError, TypeError, RecursionError):
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
        #: Jobs to be stopped, and the monotonic second until which each is looked for.
        self._to_stop: list[tuple[Command, float]] = []

    def obey(self) -> None:
        """Do what was asked since the last look."""
        self._office.contact.made(self._do_what_is_told)
        if self._to_stop:
            self._office.contact.made(self._stop_jobs)

    def close(self) -> None:
        """Hear no more."""
        self._commands.close()

    def _do_what_is_told(self) -> None:
        for command in self._commands.received():
            self._do(command)

    def _do(self, command: Command) -> None:
        log.info("%s is told: %s %s", command.worker, command.name, command.job_id)
        member = self._member(command)
        match command.name:
            case "shutdown":
                self._stop()
            case "kill-horse":
                for held in watch.running(member):
                    reason = "its process was killed by a command"
                    member.doomed[held.ordinal] = Doom("killed", reason)
            case "stop-job" | "stop-execution":
                self._to_stop.append((command, self._office.now + PATIENCE))
            case _:
                log.warning("%s: no such command", command.name)

    def _member(self, command: Command) -> Member:
        return next(m for m in self._members if m.worker == command.worker)

    def _stop_jobs(self) -> None:
        self._to_stop = [each for each in self._to_stop if not self._stopped(*each)]

    def _stopped(self, command: Command, until: float) -> bool:
        """Stop a job where its child has it; tell whether the command is done with."""
        member = self._member(command)
        if (held := self._held(member, command)) is not None:
            # A child that runs many jobs at once breaks one of them off by itself.
            if member.slot.cancel(held.place) and not self._office.plan.runs_many:
                member.doomed[held.ordinal] = Doom("stopped", STOPPED)
            return True
        if self._office.now < until:
            return False  # reserved this moment, and not in the child's hands yet
        log.warning("not working on job %s, command ignored", command.job_id)
        return True

    def _held(self, member: Member, command: Command) -> Held | None:
        if member.holder is None or not member.is_alive:
            return None
        ids = self._office.broker.held(member.holder)
        for held in member.slot.table():
            job_id = ids.get(held.ordinal, ("", ""))[0]
            execution = member.holder.execution_id(held.ordinal)
            wanted = command.execution_id in ("", execution)
            if job_id == command.job_id and wanted and _is_its_own(held):
                return held
        return None


def _is_its_own(held: Held) -> bool:
    """Tell whether the child still has it to end: not over, and not given back."""
    return not held.over and held.told != Told.REVOKED
