"""Whether the store answers, said once when that changes."""

from __future__ import annotations

import logging
from collections.abc import Callable

from redis.exceptions import ReadOnlyError, RedisError, ResponseError

from headway.clock import Clock

log = logging.getLogger("headway.worker")

#: Seconds between two attempts while the store is away; each is twice the one before.
FIRST_PAUSE, LONGEST_PAUSE = 0.05, 1.0
#: After how many seconds what was said is said again, and how much is remembered.
AGAIN, MOST_SAID = 60.0, 100


class Contact:
    """The supervisor's view of the store: a step that fails is made again later."""

    def __init__(
        self,
        clock: Clock,
        ask: Callable[[], object],
        disconnect: Callable[[], object],
    ) -> None:
        self._clock = clock
        self._ask = ask
        self._disconnect = disconnect
        self._is_up = True
        self._again_at = 0.0
        self._pause = FIRST_PAUSE
        #: What was said, and when: a refusal comes twenty times a second.
        self._said: dict[str, float] = {}
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
        except ReadOnlyError as error:  # it is a replica now: its name leads elsewhere
            self._lose(error)
            return False
        except ResponseError as error:  # it answers: the other steps can be made
            self._say(f"Redis refuses what the worker asks: {error}")
            return False
        except RedisError as error:
            self._lose(error)
            return False
        except Exception as error:  # noqa: BLE001 - the worker must not die of it
            # Somebody else's data, read in a way that it does not allow. The worker has
            # other duties, and this one is tried again.
            self._say(f"a duty failed: {type(error).__name__}: {error}", exc_info=True)
            return False
        return True

    def _lose(self, error: RedisError) -> None:
        log.warning("Redis is away, the worker waits for it: %s", error)
        self._is_up = False
        self._disconnect()
        self._put_off()

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
        self._pause = FIRST_PAUSE
        return True

    def _put_off(self) -> None:
        self._again_at = self._clock.monotonic() + self._pause
        self._pause = min(LONGEST_PAUSE, 2 * self._pause)

    def _say(self, text: str, *, exc_info: bool = False) -> None:
        now = self._clock.monotonic()
        if now - self._said.get(text, -AGAIN) < AGAIN:
            return
        if len(self._said) > MOST_SAID:
            self._said.clear()
        self._said[text] = now
        log.error("%s", text, exc_info=exc_info)
