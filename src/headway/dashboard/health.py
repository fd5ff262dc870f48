from __future__ import annotations

from flask import Blueprint
from redis import Redis
from redis.exceptions import RedisError

from headway.dashboard.problems import away


def health(redis: Redis) -> Blueprint:
    """Make the two pages that a platform asks: is it up, and can it work."""
    pages = Blueprint("health", __name__)

    @pages.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @pages.get("/readyz")
    def readyz() -> tuple[dict[str, str], int]:
        try:
            redis.ping()
        except RedisError as error:
            return {"status": "unavailable", "reason": away(error)}, 503
        return {"status": "ready"}, 200

    return pages
