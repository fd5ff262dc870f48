"""Whether the store answers, said once when that changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from redis.exceptions import RedisError, ResponseError

from headway.clock import Clock

log = logging.getLogger("headway.worker")

#: Seconds between two attempts while the store is away.
PAUSE = 1.0


class Contact:
    """The supervisor's view of the store: a step that fails is made again later."""

    def __init__(self, clock: Clock, ask: Callable[[], object]) -> None:
        self._clock = clock
        self._ask = ask
        self._is_up = True
        self._again_at = 0.0
        self._refused = ""
        #: The monotonic second since which it has answered without a gap.
        self.since = clock.monotonic()

    @property
    def is_up(self) -> bool:
        """Tell whether the store answered when it was asked last."""
        return self._is_up

    def made(self, step: Callable[[], object]) -> bool:
        """Make a step that needs the store; tell whether it was made."""
        if not self._is_up and not self._is_back():
            return False
        try:
            step()
        except ResponseError as error:  # it answers: the other steps can be made
            self._say_refused(str(error))
            return False
        except RedisError as error:
            log.warning("Redis is away, the worker waits for it: %s", error)
            self._is_up = False
            self._put_off()
            return False
        return True

    def _is_back(self) -> bool:
        # Not by a step: some have nothing to ask, and would succeed.
        if self._clock.monotonic() < self._again_at:
            return False
        try:
            self._ask()
        except RedisError:
            self._put_off()
            return False
        log.warning("Redis is back")
        self._is_up, self.since = True, self._clock.monotonic()
        return True

    def _put_off(self) -> None:
        self._again_at = self._clock.monotonic() + PAUSE

    def _say_refused(self, answer: str) -> None:
        if answer != self._refused:
            log.error("Redis refuses what the worker asks: %s", answer)
        self._refused = answer
