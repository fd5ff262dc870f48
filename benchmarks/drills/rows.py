"""The drills, each with the rows that it has in the table and what they promise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from benchmarks.drills import deploys, kills, outages, pauses, payloads, poisons
from benchmarks.drills.tally import Tally
from benchmarks.drills.trial import Trial

#: A lease that is waited for in many trials, and the one that workers have otherwise.
SHORT, USUAL = 3, 30
#: Of each drill that waits for a lease so many trials have the usual one.
FEW = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One fault, and what holds when it strikes."""

    name: str
    play: Callable[[Trial], None]
    #: How long until what was running runs again, in seconds, where that is promised.
    back_p99: float | None = None
    back_max: float | None = None
    #: How many runs are made again for each that was struck, at most.
    most_extra: int = 1
    #: Whether workers of RQ's own are put through it as well, beside ours.
    of_stock: bool = False
    #: How many trials there are at most.
    most: int | None = None
    #: About how long one takes, in seconds: the long ones are begun first.
    takes: float = 5.0

    def shortfalls(self, found: Tally) -> list[str]:
        """Say which of its promises did not hold."""
        said: list[str] = []
        for limit, share in ((self.back_p99, 0.99), (self.back_max, 1.0)):
            took = found.back_at(share)
            if limit is not None and took > limit:
                said.append(
                    f"{self.name}: {share:.0%} ran again within {took:.2f} s, not "
                    f"{limit:g} s"
                )
        if found.extra_per_fault > self.most_extra:
            said.append(
                f"{self.name}: {found.extra} runs more for {found.struck} struck"
            )
        return said


def _outage(name: str, play: Callable[[Trial], None], takes: float = 5.0) -> Row:
    """Return a row of a store that is away for all: nothing runs twice for it."""
    return Row(name=name, play=play, back_max=10.0, most_extra=0, takes=takes)


def _waiting_for_a_lease(
    name: str,
    play: Callable[..., None],
    takes: float,
    *,
    of_stock: bool = False,
    most_extra: int = 1,
) -> tuple[Row, ...]:
    """Return a row for each lease; what ran is back when that has run out."""
    return tuple(
        Row(
            name=f"{name}, lease {lease} s",
            play=partial(play, lease=lease),
            back_max=lease + 5.0,
            most=FEW if lease == USUAL else None,
            takes=takes * lease,
            most_extra=most_extra,
            of_stock=of_stock and lease == USUAL,
        )
        for lease in (SHORT, USUAL)
    )


DRILLS: dict[str, tuple[Row, ...]] = {
    "child-kill": (
        Row(name="child-kill", play=kills.child_kill, back_p99=2.0, of_stock=True),
    ),
    "parent-kill": (Row(name="parent-kill", play=kills.parent_kill, back_max=10.0),),
    "host-kill": (
        Row(
            name="host-kill, back at once",
            play=partial(kills.host_kill, is_gone=False, lease=USUAL),
            back_max=10.0,
            of_stock=True,
        ),
        *_waiting_for_a_lease(
            "host-kill, gone",
            partial(kills.host_kill, is_gone=True),
            2.0,
            of_stock=True,
        ),
    ),
    "fetch-window": tuple(
        Row(
            name=f"fetch-window, {count} queue{'s' * (count > 1)}",
            play=partial(kills.fetch_window, queues=count),
            back_max=10.0,
            of_stock=True,
        )
        for count in (1, 2, 8)
    ),
    "deploy": (Row(name="deploy", play=deploys.deploy, takes=8.0, of_stock=True),),
    "redis-restart": (_outage("redis-restart", outages.redis_restart),),
    "redis-kill": (_outage("redis-kill", outages.redis_kill),),
    "redis-cut": (
        _outage("redis-cut", outages.redis_cut, 20.0),
        Row(name="redis-cut, one of two", play=outages.worker_cut, takes=12.0),
    ),
    "redis-full": (_outage("redis-full", outages.redis_full),),
    "freeze": _waiting_for_a_lease("freeze", pauses.freeze, 2.5),
    "gil": _waiting_for_a_lease("gil", pauses.hold_the_interpreter, 3.5, most_extra=0),
    "poison": (Row(name="poison", play=poisons.poison, takes=8.0),),
    "bad-payloads": (Row(name="bad-payloads", play=payloads.bad_payloads),),
}
#: The drills that workers of RQ's own are put through as well.
OF_STOCK = tuple(
    name for name, rows in DRILLS.items() if any(row.of_stock for row in rows)
)
