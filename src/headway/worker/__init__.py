from __future__ import annotations

from headway.worker.rq_worker import Worker

__all__ = ["Worker"]
