"""The verbs that must be atomic: one Lua file each, keys and arguments on its top."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError

from headway.wire import keys

if TYPE_CHECKING:
    from redis import Redis


Value = str | bytes | int | float
#: The keys and the arguments of one run of a script.
Call = tuple[Sequence[str], Sequence[Value]]


#: What stands in front of a verb that may end a node; `names` is made here.
_WORKFLOW = ("names", "moment", "workflow")
_REOPEN = (*_WORKFLOW, "reopen")
#: By verb: the files of functions that stand in front of its own.
SHARED = {
    "acknowledge": ("if_asked", *_WORKFLOW, "has_been_asked"),
    "add_nodes": _WORKFLOW,
    "bury": _WORKFLOW,
    "cancel": _WORKFLOW,
    "cancel_workflow": _WORKFLOW,
    "delete": _WORKFLOW,
    "enqueue_carried": ("written",),
    "enqueue_one": ("written",),
    "promote": ("moment",),
    "requeue": _REOPEN,
    "reserve": ("moment", "begun"),
    "reserve_one": ("moment", "begun"),
    "retry_workflow": _REOPEN,
    "settle": _WORKFLOW,
    "sweep_workflows": _WORKFLOW,
}


class Script:
    """One Lua file, called by its hash and sent whole only where it is unknown."""

    def __init__(self, verb: str) -> None:
        self.text = b"".join(map(_part, (*SHARED.get(verb, ()), verb)))
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
        for places, args in calls:
            pipeline.evalsha(self.sha, len(places), *places, *args)
        return list(pipeline.execute())


def _part(name: str) -> bytes:
    if name == "names":
        return _names()
    return files("headway.wire.scripts").joinpath(f"{name}.lua").read_bytes()


def _names() -> bytes:
    """Return a Lua table of how keys begin; the prefix of them may be any text."""
    quoted = {
        name: "".join(f"\\{byte:03d}" for byte in key.encode())
        for name, key in keys.NAMES_IN_LUA.items()
    }
    fields = ", ".join(f"{name} = '{key}'" for name, key in quoted.items())
    return f"local names = {{ {fields} }}\n".encode()


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

    @cached_property
    def add_nodes(self) -> Script:
        """Write the nodes of a workflow."""
        return Script("add_nodes")

    @cached_property
    def cancel_workflow(self) -> Script:
        """Cancel all of a workflow that has not begun."""
        return Script("cancel_workflow")

    @cached_property
    def retry_workflow(self) -> Script:
        """Run what has failed of a workflow again."""
        return Script("retry_workflow")
