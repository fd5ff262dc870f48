"""A stock producer's hand: it knows RQ alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis import Redis
from rq import Queue
from rq.job import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """Sends the jobs of one scenario, with ids that tell whose they are."""

    client: Redis
    #: `json` or `pickle`.
    serializer: str
    scenario: str
    #: Where a server listens that notes what webhooks bring.
    listener: str

    def queue(self, name: str = "default") -> Queue:
        return Queue(name, connection=self.client, serializer=self.serializer)

    def id(self, part: str) -> str:
        return f"{self.scenario}--{part}"

    def send(
        self,
        part: str,
        call: Any,
        *args: object,
        to: str = "default",
        named: dict[str, object] | None = None,
        **options: Any,
    ) -> Job:
        """Enqueue a call: text is a function of `parity_tasks`, by its short name."""
        return self.queue(to).enqueue(
            self.path(call), **self._call(part, args, named), **options
        )

    def send_at(self, moment: Any, part: str, call: str, *args: object, **options: Any):
        """Enqueue a call for later: a `datetime`, or a `timedelta` from now."""
        queue = self.queue()
        send = queue.enqueue_in if hasattr(moment, "days") else queue.enqueue_at
        return send(moment, self.path(call), **self._call(part, args, None), **options)

    def path(self, call: Any) -> Any:
        return f"parity_tasks.{call}" if isinstance(call, str) else call

    def _call(
        self, part: str, args: tuple[object, ...], named: dict[str, object] | None
    ) -> dict[str, Any]:
        return {"args": args, "kwargs": named or {}, "job_id": self.id(part)}
