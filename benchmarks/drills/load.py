"""The jobs of a trial: enough that every child is busy, and a few that are traps."""

from __future__ import annotations

import importlib
import random
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from redis import Redis
from redis.exceptions import RedisError
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.drills.points import COMMIT_POINTS, POINTS, victim
from headway.errors import EnqueueError

if TYPE_CHECKING:
    from headway.message import Message

#: Fewer than this wait at any time, so that who waits is soon served.
ENOUGH = 20
#: How many of the traps are in RQ's own code; how many others let a job go that waits.
#: None does that is to fail: what waits for it would wait for ever, as in RQ.
LATE, PARENTS = 0.25, 0.25
#: How often a trap is sprung: now and then so often that the job itself is to blame.
_TIMES, _TO_BLAME = (1, 2, 3), (85, 12, 3)
_KINDS, _SHARES = ("work", "again", "fail"), (94, 3, 3)
#: How many jobs are delayed, where somebody moves them, and for how long at most.
_DELAYED, _DELAY = 0.1, 2.0


class Load:
    """What is sent, and what is to come of it."""

    def __init__(self, client: Redis, dice: random.Random, trial: int) -> None:
        # Here, since it reads in the environment where its server is.
        self._tasks: Any = importlib.import_module("benchmarks.drills.tasks")
        self._client = client
        self._dice = dice
        self._trial = trial
        self._number = 0
        self._unsent: list[Message[object]] = []
        self.queues: Sequence[str] = ("first",)
        #: From and to how many milliseconds jobs take, and how many of them are long.
        self.short = (2.0, 40.0)
        self.long = (100.0, 400.0)
        self.share_of_long = 0.05
        #: Jobs that wait for others, sent by RQ's own code, which does not try again.
        self.has_families = True
        self.has_delays = False
        #: Ids of all jobs; those that are to fail by themselves; those killed thrice.
        self.sent: list[str] = []
        self.failing: set[str] = set()
        #: By the id of one that waits for another: that of the other.
        self.parents: dict[str, str] = {}
        self.fatal: set[str] = set()
        #: Ids under which something else than a job was put into a queue.
        self.bad: list[str] = []
        #: How long a call took that failed, in seconds.
        self.refused: list[float] = []

    def top_up(self) -> None:
        """Send jobs where few wait, and those that could not be sent before."""
        if self._unsent:
            self._send([])
        try:
            few = self._waiting() < ENOUGH
        except RedisError:
            few = True  # nobody knows: let the sending itself find out
        if few and not self._unsent:
            self._send([self._any() for _ in range(self._dice.choice((1, ENOUGH)))])
            if self.has_families and not self._unsent:
                self.send_family(self.new_id())

    @property
    def is_sent(self) -> bool:
        """Tell whether the store has confirmed all jobs."""
        return not self._unsent

    def send(self, task: str, *arguments: object, fails: bool = False) -> str:
        """Send one job; return its id."""
        job_id = self.new_id()
        self._send([self._message(task, job_id, *arguments, fails=fails)])
        return job_id

    def send_victim(self, most: int) -> int:
        """Send a job that will cost children, so many at most; return how many."""
        times = min(most, self._dice.choices(_TIMES, _TO_BLAME)[0])
        if self._dice.random() < LATE:
            return self._send_late_victim()
        point = self._dice.choice(POINTS) if times == 1 else "in_task"
        job_id = self.victim(point, times)
        if times == max(_TIMES):
            self.fatal.add(job_id)
        if times < max(_TIMES) and self._dice.random() < PARENTS:
            self.send_family(job_id)
        else:
            self.send_as("work", job_id)
        return times

    def victim(self, point: str, times: int = 1) -> str:
        """Return the id of a job that will cost so many children at that point."""
        return victim(point, times, self.new_id())

    def send_as(self, kind: str, job_id: str) -> None:
        """Send one job under an id that says more than its number."""
        arguments = self._milliseconds()
        self._send([self._message(kind, job_id, arguments, fails=kind == "fail")])

    def new_id(self) -> str:
        """Return an id that no job of any trial has."""
        self._number += 1
        return f"j-{self._trial}-{self._number}"

    def _send_late_victim(self) -> int:
        """Send one that dies where RQ's own code writes the outcome."""
        job_id = self.victim(self._dice.choice(COMMIT_POINTS))
        kind = self._dice.choice(("fail", "again", "parent"))
        if kind == "parent":
            self.send_family(job_id)
        else:
            self.send_as(kind, job_id)
        return 1

    def _waiting(self) -> int:
        pipeline = self._client.pipeline(transaction=False)
        for name in self.queues:
            pipeline.llen(f"rq:queue:{name}")
        return sum(pipeline.execute())

    def _any(self) -> Message[object]:
        kind = self._dice.choices(_KINDS, _SHARES)[0]
        job_id, milliseconds = self.new_id(), self._milliseconds()
        return self._message(kind, job_id, milliseconds, fails=kind == "fail")

    def _message(
        self, kind: str, job_id: str, *arguments: object, fails: bool
    ) -> Message[object]:
        self.sent.append(job_id)
        if fails:
            self.failing.add(job_id)
        options: dict[str, Any] = {
            "queue": self._dice.choice(self.queues),
            "job_id": job_id,
        }
        if self.has_delays and self._dice.random() < _DELAYED:
            options["delay"] = timedelta(seconds=self._dice.uniform(0.1, _DELAY))
        sized = getattr(self._tasks, kind).using(**options)
        message: Message[object] = sized.message(*arguments)
        return message

    def _send(self, messages: list[Message[object]]) -> None:
        """Send them and what is left; what is not confirmed is left for another time.

        It may have been sent all the same: the same ids are sent again.
        """
        self._unsent += messages
        began = time.monotonic()
        try:
            self._tasks.app.enqueue_many(self._unsent)
        except EnqueueError:
            self.refused.append(time.monotonic() - began)
        else:
            self._unsent = []

    def send_family(self, parent_id: str) -> None:
        """Send a job and one that waits for it, as RQ's own users do."""
        queue = Queue(
            self._dice.choice(self.queues),
            connection=self._client,
            serializer=JSONSerializer,
        )
        call = {"func": "benchmarks.drills.tasks.work", "result_ttl": 86_400}
        parent = queue.create_job(**call, args=(1.0,), job_id=parent_id)
        parent.save()
        child_id = self.new_id()
        queue.enqueue_call(**call, args=(1.0,), job_id=child_id, depends_on=parent)
        queue.enqueue_job(parent)
        self.sent += [parent_id, child_id]
        self.parents[child_id] = parent_id

    def _milliseconds(self) -> float:
        """Return how long a job is to take."""
        is_long = self._dice.random() < self.share_of_long
        return self._dice.uniform(*(self.long if is_long else self.short))
