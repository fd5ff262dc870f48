"""What each engine can do, with the broker that carries its messages."""

from __future__ import annotations

from collections.abc import Iterable

from headway.backend import Capability
from headway.errors import CapabilityError

_ALL = frozenset(Capability)
#: By engine and broker; "" where messages are in the Redis of the jobs.
CAPABILITIES: dict[tuple[str, str], frozenset[Capability]] = {
    ("rq", ""): _ALL,
    ("celery", ""): _ALL - {Capability.DEVICE},
    ("celery", "RabbitMQ"): _ALL
    - {Capability.DEVICE, Capability.AT_FRONT, Capability.QUEUE_ORDER},
    ("dramatiq", ""): _ALL
    - {Capability.DEVICE, Capability.QUEUE_ORDER, Capability.HARD_TIMEOUT},
    ("dramatiq", "RabbitMQ"): _ALL
    - {
        Capability.DEVICE,
        Capability.AT_FRONT,
        Capability.QUEUE_ORDER,
        Capability.HARD_TIMEOUT,
    },
    ("arq", ""): _ALL
    - {Capability.DEVICE, Capability.QUEUE_ORDER, Capability.HARD_TIMEOUT},
    ("memory", ""): _ALL
    - {Capability.STOP_RUNNING, Capability.HARD_TIMEOUT, Capability.RECOVERY},
}


def refuse(
    what: str,
    flag: Capability,
    engine: str,
    capabilities: Iterable[Capability] | None = None,
) -> None:
    """Refuse what an engine cannot do, with whichever broker, or with its own.

    Raises:
        CapabilityError: naming the engine, the flag and the engines that can.
    """
    if capabilities is None:
        capabilities = frozenset[Capability]().union(
            *(can for (name, _), can in CAPABILITIES.items() if name == engine)
        )
    if flag in capabilities:
        return
    named = {
        f"{name} on {broker}" if broker else name: can
        for (name, broker), can in CAPABILITIES.items()
    }
    able = [name for name, can in named.items() if flag in can and name != "memory"]
    same = [name for name, can in named.items() if can == capabilities]
    own = next((name for name in same if name.partition(" ")[0] == engine), engine)
    raise CapabilityError(
        f"{what}: engine {own!r} has no {flag.value} here; those that have: "
        f"{', '.join(able)}"
    )
