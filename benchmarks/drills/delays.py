"""Delayed jobs, sent one after the other while schedulers are done to."""

from __future__ import annotations

import random
import time
from datetime import timedelta
from typing import TYPE_CHECKING

from headway.errors import EnqueueError

if TYPE_CHECKING:
    from headway import App
    from headway.message import Message
    from headway.task import DefinedTask

#: From one to the next, and how long they are delayed, in seconds.
_BETWEEN, _DELAY = 0.2, (0.1, 3.0)


class Delays:
    """What is sent, and when it is due."""

    def __init__(
        self, app: App, task: DefinedTask[[float], None], dice: random.Random
    ) -> None:
        self._app = app
        self._task = task
        self._dice = dice
        self._next = 0.0
        #: By id: what the store has not confirmed; it may have it all the same.
        self._unsent: dict[str, Message[None]] = {}
        self._delay: dict[str, float] = {}
        #: By id: before when it must not run, and when it was to, by time of day. They
        #: differ where it was sent again, since the store was away.
        self.earliest: dict[str, float] = {}
        self.due: dict[str, float] = {}

    @property
    def is_sent(self) -> bool:
        """Tell whether the store has confirmed all."""
        return not self._unsent

    def go_on(self) -> None:
        """Send what was not confirmed, or another one if it is time to."""
        if not self._unsent:
            if time.monotonic() < self._next:
                return
            self._next = time.monotonic() + _BETWEEN
            self._make()
        self.send()

    def send(self) -> None:
        """Send what is to be sent, if the store takes it."""
        now = time.time()
        for job_id in self._unsent:
            self.due[job_id] = now + self._delay[job_id]
            self.earliest.setdefault(job_id, self.due[job_id])
        try:
            self._app.enqueue_many(list(self._unsent.values()))
        except EnqueueError:
            return
        self._unsent = {}

    def enqueued(self) -> dict[str, float]:
        """Return when each came into its queue, as the store says, by time of day."""
        moments = {id_: self._app.job(id_).info().enqueued_at for id_ in self.due}
        return {id_: moment.timestamp() for id_, moment in moments.items() if moment}

    def _make(self) -> None:
        job_id, delay = f"late-{len(self.due)}", self._dice.uniform(*_DELAY)
        self._delay[job_id] = delay
        using = self._task.using(job_id=job_id, delay=timedelta(seconds=delay))
        self._unsent[job_id] = using.message(0.0)
