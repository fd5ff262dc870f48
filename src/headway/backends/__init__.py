"""The engines. Each is imported only when an application has chosen it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from headway.attempt import Attempt
from headway.backend import Backend
from headway.clock import Clock
from headway.errors import ConfigurationError
from headway.settings import Settings
from headway.signing import Signer
from headway.task import DefinedTask, Delivered

#: Engine -> module and class; and where a RabbitMQ is named.
_HOMES = {
    "rq": "rq:RQBackend",
    "celery": "celery:CeleryBackend",
    "dramatiq": "dramatiq:DramatiqBackend",
    "arq": "arq:ArqBackend",
    "memory": "memory:MemoryBackend",
}
_ON_AMQP = {
    "celery": "celery_amqp:CeleryOnAMQP",
    "dramatiq": "dramatiq_amqp:DramatiqOnAMQP",
}
ENGINES = tuple(_HOMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What an application gives to the backend it makes."""

    settings: Settings
    clock: Clock
    #: Runs a job where the engine is this very process.
    attempt: Attempt
    #: Tells whether a name is that of a task that was defined as one.
    is_task: Callable[[str], bool] = lambda _name: False
    #: Finds a task by the name that travelled.
    resolve: Callable[[str], DefinedTask[Any, Any]]
    #: The address to use in place of the one in the settings.
    redis_url: str | None = None
    #: Returns what signs jobs, where they are signed.
    signer: Callable[[], Signer | None] = lambda: None


def create(engine: str, context: Context) -> Backend:
    """Return the backend of an engine.

    Raises:
        ConfigurationError: the engine is unknown, or lacks an address.
    """
    try:
        return _chosen(engine, on_amqp=bool(context.settings.broker_url))(context)
    except ImportError as error:
        raise ConfigurationError(
            f"engine={engine!r}: {error}. Install what it needs: "
            f"pip install 'headway[{engine}]'"
        ) from error


def _chosen(engine: str, *, on_amqp: bool) -> Callable[[Context], Backend]:
    home = (_ON_AMQP.get(engine) if on_amqp else None) or _HOMES.get(engine)
    if home is None:
        raise ConfigurationError(
            f"engine={engine!r}: expected one of {', '.join(ENGINES)}"
        )
    module, _, name = home.partition(":")
    backend: Callable[[Context], Backend] = getattr(
        importlib.import_module(f"headway.backends.{module}"), name
    )
    return backend


def development_redis(settings: Settings) -> str | None:
    """Return the address of a server that `headway up` runs in this folder."""
    if not (settings.data / "services.json").exists():
        return None
    from headway.embedded import Services  # an extra: only where its record lies

    return Services(data=settings.data).found().get("REDIS_URL")


def delivered(
    attempt: Callable[[], Attempt],
    task: DefinedTask[Any, Any],
    args: Sequence[object],
    kwargs: dict[str, Any],
) -> Delivered | None:
    """Run a call as a job, if the worker of an engine makes it; else return None.

    Raises:
        Exception: what the task raised, when it is not to run again.
    """
    if "rq" not in sys.modules:  # then no worker of RQ runs in this process
        return None
    from headway.backends.rq_delivery import deliver

    return deliver(attempt, task, args, kwargs)
