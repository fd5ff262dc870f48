"""The verbs that must be atomic: one Lua file each, keys and arguments on its top."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

if TYPE_CHECKING:
    from redis import Redis


Value = str | bytes | int | float
#: The keys and the arguments of one run of a script.
Call = tuple[Sequence[str], Sequence[Value]]


#: By verb: the files of functions that stand in front of its own.
SHARED = {
    "enqueue_carried": ("written",),
    "enqueue_one": ("written",),
    "promote": ("moment",),
    "reserve": ("moment",),
    "reserve_one": ("moment",),
}


class Script:
    """One Lua file, called by its hash and sent whole only where it is unknown."""

    def __init__(self, verb: str) -> None:
        folder = files("headway.wire.scripts")
        names = [f"{name}.lua" for name in (*SHARED.get(verb, ()), verb)]
        self.text = b"".join(folder.joinpath(name).read_bytes() for name in names)
        self.sha = sha1(self.text, usedforsecurity=False).hexdigest()

    def __call__(
        self, client: Redis, keys: Sequence[str], args: Sequence[Value]
    ) -> Any:  # noqa: ANN401 - whatever the script returns
        """Run it with a client."""
        return self.many(client, [(keys, args)])[0]

    def many(self, client: Redis, calls: Sequence[Call]) -> list[Any]:
        """Run it once for each pair of keys and arguments, in one round trip."""
        try:
            return self._send(client, calls)
        except NoScriptError:  # a new server, or a restarted one
            client.script_load(self.text.decode())
            return self._send(client, calls)

    def _send(self, client: Redis, calls: Sequence[Call]) -> list[Any]:
        pipeline = client.pipeline(transaction=False)
        for keys, args in calls:
            pipeline.evalsha(self.sha, len(keys), *keys, *args)
        return list(pipeline.execute())


class Scripts:
    """All verbs, each read from its file at first use."""

    @cached_property
    def enqueue(self) -> Script:
        """Write jobs and put them into queues or schedules."""
        return Script("enqueue")

    @cached_property
    def promote(self) -> Script:
        """Move due jobs into their queues."""
        return Script("promote")

    @cached_property
    def cancel(self) -> Script:
        """Keep a waiting job from running."""
        return Script("cancel")

    @cached_property
    def requeue(self) -> Script:
        """Run an ended job again."""
        return Script("requeue")

    @cached_property
    def delete(self) -> Script:
        """Forget a job that nobody runs."""
        return Script("delete")

    @cached_property
    def nudge(self) -> Script:
        """Wake an idle worker of a queue that has jobs."""
        return Script("nudge")

    @cached_property
    def unlock(self) -> Script:
        """Free what somebody holds, if they still do."""
        return Script("unlock")

    @cached_property
    def send_tick(self) -> Script:
        """Enqueue the job of a schedule's tick."""
        return Script("send_tick")

    @cached_property
    def miss_ticks(self) -> Script:
        """Write ticks down that are not sent."""
        return Script("miss_ticks")

    @cached_property
    def put_schedule(self) -> Script:
        """Keep a schedule."""
        return Script("put_schedule")

    @cached_property
    def due_schedules(self) -> Script:
        """Tell which schedules are due by the store's clock."""
        return Script("due_schedules")

    @cached_property
    def lead(self) -> Script:
        """Be, or stay, the one who does what one is enough for."""
        return Script("lead")

    @cached_property
    def take_schedule(self) -> Script:
        """Take what comes again and again from rq-scheduler."""
        return Script("take_schedule")

    @cached_property
    def withdraw(self) -> Script:
        """Have rq-scheduler not send what it has."""
        return Script("withdraw")

    @cached_property
    def take_job(self) -> Script:
        """Take a job that runs once from rq-scheduler."""
        return Script("take_job")
