"""Memory that a child and its supervisor share; what survives when the child does not.

The child writes which jobs it holds, which of them it has begun and until when, and, as
each one ends, its packed acknowledgement. No locks: each field has one writer, and a
count is written after what it counts. Marks that cross (the child begins a job as the
supervisor takes it back) are settled by the lease in the store.
"""

from __future__ import annotations

import mmap
import os
import struct
import tempfile
from enum import IntEnum
from typing import NamedTuple

#: Jobs of one batch at most, or running at once.
CAPACITY = 1024
JOURNAL = 1 << 20

_STATE, _STOP, _INTERRUPT, _SINCE, _DONE, _RAISED = 0, 1, 2, 8, 16, 24
#: Of the acknowledgements: their bytes in the upper half, their number in the lower.
_NOTED, _SETTLED, _COUNT = 32, 40, 44
#: Until when the leases hold, as far as supervisor and child know.
_RENEWED, _RESERVED = 48, 56
_ENTRY = struct.Struct("<QddBBxxxxxx")
_BEGAN, _DEADLINE, _OVER, _TOLD = 8, 16, 24, 25
_TABLE = 64
_JOURNAL_AT = _TABLE + CAPACITY * _ENTRY.size
SIZE = _JOURNAL_AT + JOURNAL

_LOWER = 0xFFFF_FFFF
_u32, _u64, _f64 = struct.Struct("<I"), struct.Struct("<Q"), struct.Struct("<d")
_two_f64 = struct.Struct("<dd")


class State(IntEnum):
    """What a child does; the supervisor only reads it."""

    STARTING = 0
    IDLE = 1
    BUSY = 2
    SUSPENDED = 3
    LEAVING = 4


class Told(IntEnum):
    """What the supervisor tells the child of one of its jobs."""

    NOTHING = 0
    #: Not to begin it: it is given back.
    REVOKED = 1
    #: To end it as stopped, whether it has begun or not.
    CANCELLED = 2


class Held(NamedTuple):
    """A job of the child's batch, as its slot tells."""

    place: int
    ordinal: int
    #: Monotonic seconds; 0 where it has not begun.
    began: float
    #: Monotonic seconds at which it has run too long; 0 for never.
    deadline: float
    over: bool
    told: int


class Slot:
    """One child's piece of shared memory; survives its lives."""

    def __init__(self, descriptor: int | None = None) -> None:
        self.descriptor = _memory() if descriptor is None else descriptor
        self._map = mmap.mmap(self.descriptor, SIZE)

    # Written by the child

    def enter(self, state: State, now: float) -> None:
        """Say what the child does from now on."""
        self._map[_STATE] = state
        _f64.pack_into(self._map, _SINCE, now)

    def hold(self, ordinals: list[int]) -> None:
        """Write down a new batch; nothing of it has begun."""
        _u32.pack_into(self._map, _COUNT, 0)
        for place, ordinal in enumerate(ordinals):
            at = _TABLE + place * _ENTRY.size
            _ENTRY.pack_into(self._map, at, ordinal, 0.0, 0.0, 0, 0)
        _u32.pack_into(self._map, _COUNT, len(ordinals))

    def put(self, place: int, ordinal: int) -> None:
        """Write down one job more, in a place of the table that is free."""
        at = _TABLE + place * _ENTRY.size
        _ENTRY.pack_into(self._map, at, ordinal, 0.0, 0.0, 0, 0)
        if place >= self._number(_COUNT):
            _u32.pack_into(self._map, _COUNT, place + 1)

    def reserve_until(self, moment: float) -> None:
        """Say how long what the child has just been given is leased at least."""
        _f64.pack_into(self._map, _RESERVED, moment)

    def begin(self, place: int, now: float, deadline: float) -> int:
        """Mark a job as begun; return what the child was told of it meanwhile.

        That it is revoked, too, where the lease may have run out since: the process
        stood still, and others may have the job by now.
        """
        at = _TABLE + place * _ENTRY.size
        _f64.pack_into(self._map, at + _DEADLINE, deadline)
        _f64.pack_into(self._map, at + _BEGAN, now)
        if 0.0 < max(_two_f64.unpack_from(self._map, _RENEWED)) < now:
            return Told.REVOKED
        return self._map[at + _TOLD]

    def task_is_over(self, place: int) -> None:
        """Say that only the outcome is to be written: no time limit holds for that."""
        _f64.pack_into(self._map, _TABLE + place * _ENTRY.size + _DEADLINE, 0.0)

    def finish(self, place: int, *, failed: bool = False) -> None:
        """Mark a job as over, whatever came of it."""
        self._map[_TABLE + place * _ENTRY.size + _OVER] = True
        _u64.pack_into(self._map, _DONE, self._count(_DONE) + 1)
        if failed:
            _u64.pack_into(self._map, _RAISED, self._count(_RAISED) + 1)

    def drop(self, place: int) -> None:
        """Mark a job as not to be run here after all."""
        self._map[_TABLE + place * _ENTRY.size + _OVER] = True

    def note(self, acknowledgement: bytes) -> bool:
        """Keep a packed acknowledgement; False where there is no room for it."""
        noted = self._count(_NOTED)
        used = noted >> 32
        end = used + len(acknowledgement)
        if end > JOURNAL:
            return False
        self._map[_JOURNAL_AT + used : _JOURNAL_AT + end] = acknowledgement
        # Both at once, and last: a child may be killed between any two steps.
        _u64.pack_into(self._map, _NOTED, end << 32 | (noted & _LOWER) + 1)
        return True

    def clear_notes(self) -> None:
        """Forget the acknowledgements: the store has them."""
        _u64.pack_into(self._map, _NOTED, 0)
        _u32.pack_into(self._map, _SETTLED, 0)

    # Written by the supervisor

    def close(self) -> None:
        """Give up this process's view of it; a child that has one keeps its own."""
        self._map.close()
        os.close(self.descriptor)

    def reset(self) -> None:
        """Make it as new, for another life of the child."""
        self._map[:_TABLE] = bytes(_TABLE)

    def renew_until(self, moment: float) -> None:
        """Say until when the child's leases hold, whatever it was given when."""
        _f64.pack_into(self._map, _RENEWED, moment)

    def ask_to_stop(self) -> None:
        """Ask the child to leave after the job that it runs."""
        self._map[_STOP] = True

    def ask_to_interrupt(self) -> None:
        """Ask the child to break off what it runs, and to give it back."""
        self._map[_INTERRUPT] = True

    def revoke(self, place: int) -> bool:
        """Take a job back; tell whether the child had not begun it.

        Where both happen at once, each may see the other: the child then releases it.
        """
        at = _TABLE + place * _ENTRY.size
        self._map[at + _TOLD] = Told.REVOKED
        if _f64.unpack_from(self._map, at + _BEGAN)[0] == 0.0:
            return True
        self._map[at + _TOLD] = Told.NOTHING
        return False

    def cancel(self, place: int) -> bool:
        """Ask the child to end a job as stopped; tell whether it had begun it."""
        at = _TABLE + place * _ENTRY.size
        self._map[at + _TOLD] = Told.CANCELLED
        return bool(_f64.unpack_from(self._map, at + _BEGAN)[0])

    def settle(self, count: int) -> None:
        """Say that the supervisor writes the first acknowledgements itself."""
        _u32.pack_into(self._map, _SETTLED, count)

    # Read by both

    def told(self) -> bytes:
        """Return what the child was told of each job, by its place; see `Told`."""
        count = self._number(_COUNT)
        first = _TABLE + _TOLD
        return self._map[first : first + count * _ENTRY.size : _ENTRY.size]

    @property
    def state(self) -> State:
        """Return what the child does."""
        return State(self._map[_STATE])

    @property
    def since(self) -> float:
        """Return the monotonic second at which it began to do so."""
        return float(_f64.unpack_from(self._map, _SINCE)[0])

    @property
    def stop_asked(self) -> bool:
        """Tell whether the child has been asked to leave."""
        return bool(self._map[_STOP])

    @property
    def interrupt_asked(self) -> bool:
        """Tell whether what runs is to be broken off."""
        return bool(self._map[_INTERRUPT])

    @property
    def done(self) -> int:
        """Return how many jobs this life of the child has ended."""
        return self._count(_DONE)

    @property
    def failed(self) -> int:
        """Return how many of them did not succeed."""
        return self._count(_RAISED)

    @property
    def settled(self) -> int:
        """Return how many acknowledgements the supervisor has taken over."""
        return self._number(_SETTLED)

    def notes(self) -> tuple[bytes, int]:
        """Return the packed acknowledgements, and how many they are."""
        noted = self._count(_NOTED)
        used, count = noted >> 32, noted & _LOWER
        return self._map[_JOURNAL_AT : _JOURNAL_AT + used], count

    def table(self) -> list[Held]:
        """Return the jobs of the batch."""
        count = min(self._number(_COUNT), CAPACITY)
        view = self._map[_TABLE : _TABLE + count * _ENTRY.size]
        return [
            Held(place, ordinal, began, deadline, bool(over), told)
            for place, (ordinal, began, deadline, over, told) in enumerate(
                _ENTRY.iter_unpack(view)
            )
        ]

    def _number(self, at: int) -> int:
        return int(_u32.unpack_from(self._map, at)[0])

    def _count(self, at: int) -> int:
        return int(_u64.unpack_from(self._map, at)[0])


def _memory() -> int:
    """Return a descriptor of memory that has no name, or else no longer has one."""
    if hasattr(os, "memfd_create"):
        descriptor = os.memfd_create("headway-slot")
    else:
        with tempfile.TemporaryFile() as file:
            descriptor = os.dup(file.fileno())
    os.ftruncate(descriptor, SIZE)
    return descriptor
