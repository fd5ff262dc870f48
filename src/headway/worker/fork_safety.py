"""Refuses to fork while something is open that parent and child must not share.

A connection that two processes have is read by both: each gets parts of the other's
answers, long after the fork and far from its cause. So the supervisor looks before it
forks, among the objects that live, and by the classes of drivers that are imported
already. redis-py sees a fork itself and opens a connection anew, so it is not looked
for.
"""

from __future__ import annotations

import gc
import logging
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from headway.errors import ConfigurationError

log = logging.getLogger("headway.worker")

#: Their threads look after themselves when the process forks.
_KNOW_FORKS = ("redis", "sentry_sdk", "opentelemetry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """A class whose objects hold a connection, and how to see that they do now."""

    module: str
    name: str
    is_open: Callable[[Any], bool]


def _unless(name: str) -> Callable[[Any], bool]:
    return lambda one: not getattr(one, name)


def _has_pooled(engine: Any) -> bool:  # noqa: ANN401 - drivers have no common type
    counts = (getattr(engine.pool, name, int) for name in ("checkedin", "checkedout"))
    return any(count() for count in counts)


def _is_begun(client: Any) -> bool:  # noqa: ANN401
    return bool(client._opened and not client._closed)  # noqa: SLF001


def _is_usable(channel: Any) -> bool:  # noqa: ANN401
    try:
        channel._channel.check_connectivity_state(False)  # noqa: FBT003, SLF001
    except ValueError:  # its way to say that it is closed
        return False
    return True


#: Underscores: where a driver says it nowhere else.
DRIVERS = (
    Driver(module="psycopg", name="Connection", is_open=_unless("closed")),
    Driver(module="psycopg", name="AsyncConnection", is_open=_unless("closed")),
    Driver(module="psycopg_pool.base", name="BasePool", is_open=_unless("closed")),
    Driver(module="psycopg2.extensions", name="connection", is_open=_unless("closed")),
    Driver(
        module="asyncpg", name="Connection", is_open=lambda one: not one.is_closed()
    ),
    Driver(module="neo4j", name="Driver", is_open=_unless("_closed")),
    Driver(module="neo4j", name="AsyncDriver", is_open=_unless("_closed")),
    Driver(module="pymongo", name="MongoClient", is_open=_is_begun),
    Driver(module="pymongo", name="AsyncMongoClient", is_open=_is_begun),
    Driver(module="sqlalchemy.engine", name="Engine", is_open=_has_pooled),
    Driver(module="grpc._channel", name="Channel", is_open=_is_usable),
    Driver(
        module="grpc.aio._channel",
        name="Channel",
        is_open=lambda one: one.get_state().name != "SHUTDOWN",
    ),
)


def refuse_unsafe_fork() -> None:
    """Look for what a forked child would break, or be broken by; warn of threads.

    Call it before `gc.freeze`, which hides objects from being looked for.

    Raises:
        ConfigurationError: naming what is open, and where to open it instead.
    """
    if threads := sorted(_threads()):
        log.warning(
            "children are forked while these threads run: %s. What they hold locked "
            "stays locked in each child: start them in a resource, as "
            '@app.resource(scope="child")',
            ", ".join(threads),
        )
    found = Counter([*_cuda(), *_connections()])
    if found:
        listed = ", ".join(
            f"{count} x {name}" if count > 1 else name for name, count in found.items()
        )
        raise ConfigurationError(
            f"the worker's children cannot be forked while it has open: {listed}. "
            "Parent and children would use the same connection at once: open it in "
            'each child instead, in a resource (@app.resource(scope="child")), or '
            "close it before the worker starts"
        )


def _cuda() -> Iterator[str]:
    cuda = sys.modules.get("torch.cuda")
    # No such function while it is still being imported, by another thread.
    if cuda is not None and getattr(cuda, "is_initialized", bool)():
        yield "CUDA, begun by torch and of no use after a fork"


def _connections() -> Iterator[str]:
    drivers = {
        kind: driver for driver in DRIVERS if (kind := _class_of(driver)) is not None
    }
    if not drivers:
        return
    gc.collect()  # what nobody has any more is closed by that
    for one in gc.get_objects():
        # Not isinstance: that would ask lazy objects what they stand for.
        for kind in type(one).__mro__:
            driver = drivers.get(kind)
            if driver is not None and _is_open(driver, one):
                yield _described(one)


def _class_of(driver: Driver) -> type | None:
    # Not getattr: a module may import what it is asked for.
    return vars(sys.modules.get(driver.module, object)).get(driver.name)


def _is_open(driver: Driver, one: object) -> bool:
    try:
        return driver.is_open(one)
    except AttributeError:  # its making has failed, or is not done
        return False


def _described(one: object) -> str:
    """Say what it is, and as what some module keeps it."""
    kind = f"{type(one).__module__.partition('.')[0]}.{type(one).__qualname__}"
    for module_name, module in list(sys.modules.items()):
        for name, value in list(getattr(module, "__dict__", {}).items()):
            if value is one:
                return f"{kind} ({module_name}.{name})"
    return kind


def _threads() -> Iterator[str]:
    for thread in threading.enumerate():
        target = getattr(thread, "_target", None)
        origin = str((target or type(thread)).__module__)
        if thread is not threading.main_thread() and not origin.startswith(_KNOW_FORKS):
            yield thread.name
