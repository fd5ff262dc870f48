"""The process that keeps the development servers up, and takes them down.

    python -m headway.embedded DATA redis postgres=7200 bolt

Who starts it owns it, by a pipe to its standard input. When the owner says so,
or dies in whatever way, it stops the servers, Redis last, since what uses the
others reports there. It lives in a session of its own: Ctrl-C reaches the
owner's workers, and those still need the servers to finish their jobs.

When it is killed itself, the kernel ends the servers (`process.tied`); whatever
is left over all the same is found in the record and ended by the next keeper.
"""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from headway.embedded.bolt import Bolt
from headway.embedded.folder import described
from headway.embedded.guard import Guard
from headway.embedded.lock import locked
from headway.embedded.port import choose
from headway.embedded.postgres import Postgres
from headway.embedded.process import born, stop
from headway.embedded.record import Entry, Record
from headway.embedded.redis import Redis
from headway.embedded.server import Server
from headway.errors import EmbeddedServerError

#: In the order of their stop, but for Redis all at once.
KINDS: Mapping[str, type[Server]] = {
    "bolt": Bolt,
    "postgres": Postgres,
    "redis": Redis,
}
_LOCK_SECONDS = 30.0
_LEFTOVER_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class _News:
    """A server is up, or `trouble` says why it is not; no name: it is over."""

    name: str = ""
    trouble: str = ""


def main(arguments: Sequence[str]) -> int:
    """Keep the servers named until the owner is gone; tell it when they are up."""
    logging.basicConfig(format="%(asctime)s %(message)s", level=logging.INFO)
    os.umask(0o077)
    data = Path(arguments[0])
    asked = dict(_wish(argument) for argument in arguments[1:])
    news: SimpleQueue[_News] = SimpleQueue()

    def end(*_: object) -> None:
        news.put(_News())

    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, end)
    Thread(target=_watch_owner, args=(os.getppid(), news), daemon=True).start()
    try:
        return _serve(Record(data), asked, news)
    except (EmbeddedServerError, OSError) as error:
        _answer(described(data, error))
        return 1


def _serve(
    record: Record, asked: Mapping[str, int | None], news: SimpleQueue[_News]
) -> int:
    """Run the servers under their locks; whatever happens, end them before."""

    def tell(name: str, trouble: str) -> None:
        news.put(_News(name, trouble))

    with ExitStack() as stack:
        for name in asked:
            stack.enter_context(locked(record.lock(name), seconds=_LOCK_SECONDS))
        guards = [
            Guard(_server(record, name, port), record, tell)
            for name, port in asked.items()
        ]
        stack.callback(_stop, guards)
        return _keep(guards, news)


def _wish(argument: str) -> tuple[str, int | None]:
    name, _, port = argument.partition("=")
    return name, int(port) if port else None


def _server(record: Record, name: str, asked: int | None) -> Server:
    """Make one server's description, after ending what an earlier keeper left."""
    kind = KINDS[name]
    last = record.read().get(name)
    if last is not None:
        stop(last.pid, last.born, kind.stop_signal, seconds=_LEFTOVER_SECONDS)
    folder = record.data / name
    folder.mkdir(mode=0o700, exist_ok=True)
    port = choose(name, asked=asked, last=last.port if last else None)
    server = kind(folder=folder, port=port)
    record.change(name, lambda _: _new_entry(port))
    return server


def _new_entry(port: int) -> Entry:
    owner = os.getppid()
    return Entry(port=port, keeper=os.getpid(), owner=owner, owner_born=born(owner))


def _keep(guards: Sequence[Guard], news: SimpleQueue[_News]) -> int:
    """Start all at once, answer when all are up, return when it is over."""
    for guard in guards:
        guard.start()
    starting = {guard.server.name for guard in guards}
    while (one := news.get()).name:
        if one.trouble:
            _answer(one.trouble)
            return 1
        starting.discard(one.name)
        if not starting:
            for guard in guards:
                guard.publish()
            _answer("")
    return 0


def _stop(guards: Sequence[Guard]) -> None:
    """End all servers, Redis last; nobody finds them from the first moment on."""
    for guard in guards:
        guard.withdraw()
    for last in (False, True):
        these = [guard for guard in guards if (guard.server.name == "redis") is last]
        for guard in these:
            guard.stop()
        for guard in these:
            guard.finish()
    for guard in guards:
        guard.close()


def _answer(trouble: str) -> None:
    """Tell the owner the one thing that it waits for, if it still does."""
    with suppress(OSError):
        print(json.dumps({"trouble": trouble}), flush=True)  # noqa: T201 - a pipe


def _watch_owner(owner: int, news: SimpleQueue[_News]) -> None:
    """Report the end of the owner: its word, the end of its pipe, or its death.

    A forked child of the owner keeps the pipe open after the owner's death; the
    descriptor of the process itself knows better, where the system has those.
    """
    poll = select.poll()
    poll.register(sys.stdin.fileno(), select.POLLIN)
    with suppress(OSError):
        poll.register(os.pidfd_open(owner), select.POLLIN)
    poll.poll()
    news.put(_News())
