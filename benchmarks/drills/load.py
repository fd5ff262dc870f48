"""The jobs of a drill: enough that every child is busy, and a few that are traps."""

from __future__ import annotations

import importlib
import random
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from redis import Redis
from rq import Queue
from rq.serializers import JSONSerializer

from benchmarks.drills.points import COMMIT_POINTS, POINTS, victim

if TYPE_CHECKING:
    from headway.message import Message

#: Fewer than this wait at any time, so that who waits is soon served.
ENOUGH = 40
#: How many of the traps are in RQ's own code; how many others let a job go that waits.
#: None does that is to fail: what waits for it would wait for ever, as in RQ.
LATE, PARENTS = 0.25, 0.25
#: How many jobs are long.
LONG = 0.02
#: How often a trap is sprung: now and then so often that the job itself is to blame.
_TIMES, _TO_BLAME = (1, 2, 3), (85, 12, 3)


class Load:
    """What is sent, and what is to come of it."""

    def __init__(self, client: Redis, dice: random.Random) -> None:
        # Here, since it reads in the environment where its server is.
        self._tasks: Any = importlib.import_module("benchmarks.drills.tasks")
        self._client = client
        self._dice = dice
        self.queues: Sequence[str] = ()
        #: Ids of all jobs; those that are to fail by themselves; those killed thrice.
        self.sent: list[str] = []
        self.failing: set[str] = set()
        self.fatal: set[str] = set()
        self._number = 0

    def top_up(self) -> None:
        """Send jobs where few wait."""
        pipeline = self._client.pipeline(transaction=False)
        for name in self.queues:
            pipeline.llen(f"rq:queue:{name}")
        if sum(pipeline.execute()) < ENOUGH:
            self._tasks.app.enqueue_many([self._any() for _ in range(ENOUGH)])
            self._send_family(self._id())

    def send_victim(self, most: int) -> int:
        """Send a job that will cost children, so many at most; return how many."""
        times = min(most, self._dice.choices(_TIMES, _TO_BLAME)[0])
        if self._dice.random() < LATE:
            return self._send_late_victim()
        point = self._dice.choice(POINTS) if times == 1 else "in_task"
        job_id = victim(point, times, len(self.sent))
        if times == max(_TIMES):
            self.fatal.add(job_id)
        if times < max(_TIMES) and self._dice.random() < PARENTS:
            self._send_family(job_id)
        else:
            self._tasks.app.enqueue_many([self._message("work", job_id)])
        return times

    def _send_late_victim(self) -> int:
        """Send one that dies where RQ's own code writes the outcome."""
        point = self._dice.choice(COMMIT_POINTS)
        job_id = victim(point, 1, len(self.sent))
        kind = self._dice.choice(("fail", "again", "parent"))
        if kind == "parent":
            self._send_family(job_id)
        else:
            self._tasks.app.enqueue_many([self._message(kind, job_id)])
        return 1

    def _any(self) -> Message[object]:
        kind = self._dice.choices(("work", "again", "fail"), (94, 3, 3))[0]
        return self._message(kind, self._id())

    def _message(self, kind: str, job_id: str) -> Message[object]:
        self.sent.append(job_id)
        if kind == "fail":
            self.failing.add(job_id)
        task = getattr(self._tasks, kind)
        sized = task.using(queue=self._dice.choice(self.queues), job_id=job_id)
        message: Message[object] = sized.message(self._milliseconds())
        return message

    def _send_family(self, parent_id: str) -> None:
        """Send a job and one that waits for it, as RQ's own users do."""
        queue = Queue(
            self._dice.choice(self.queues),
            connection=self._client,
            serializer=JSONSerializer,
        )
        call = {"func": "benchmarks.drills.tasks.work", "result_ttl": 86_400}
        parent = queue.create_job(**call, args=(1.0,), job_id=parent_id)
        parent.save()
        child_id = self._id()
        queue.enqueue_call(**call, args=(1.0,), job_id=child_id, depends_on=parent)
        queue.enqueue_job(parent)
        self.sent += [parent_id, child_id]

    def _milliseconds(self) -> float:
        """Return how long a job is to take: most are short, one in fifty is long."""
        return self._dice.uniform(
            *((50, 300) if self._dice.random() < LONG else (0, 5))
        )

    def _id(self) -> str:
        self._number += 1
        return f"j-{self._number}"
