"""An end that Redis will refuse for ever is not tried for ever."""

from __future__ import annotations

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError

from headway.lease import Lease, Leased
from headway.wire import keys
from headway.wire.burial import bury
from headway.wire.fence import FencedRedis
from headway.worker.member import new_holder


def test_what_may_not_be_written_is_said_at_once(store, redis_url):
    store.acl_setuser(
        "w", enabled=True, nopass=True, keys="*", commands=["+@all", "-xadd"]
    )
    holder = new_holder("worker")
    lease = Lease("j", 1, 1, "default", b"", b"", b"", b"", b"", {})
    store.hset(keys.lease(holder.child), "j", "1:default")
    with Redis.from_url(redis_url, username="w", password="any") as user:
        client = FencedRedis(user.connection_pool, holder, lease)
        pipeline = client.pipeline()
        pipeline.xadd("stream", {"a": 1})
        pipeline.commit()
        with pytest.raises(NoPermissionError):
            pipeline.execute()
    assert isinstance(client.refused, NoPermissionError)
    assert not client.is_over
    assert store.hexists(keys.lease(holder.child), "j")
    store.acl_deluser("w")


def test_what_a_full_redis_does_not_bury_stays_leased(store):
    holder = new_holder("w")
    leased = Leased(holder, "j", 1, "default")
    store.hset("rq:job:j", mapping={"status": "started"})
    store.hset(keys.lease(holder.child), "j", "1:default")
    store.config_set("maxmemory", 1)
    try:
        with pytest.raises(OutOfMemoryError):
            bury(store, leased, reason="why", now=0.0)
    finally:
        store.config_set("maxmemory", 0)
    assert store.hexists(keys.lease(holder.child), "j")
    assert bury(store, leased, reason="why", now=0.0)
    assert store.zrange("rq:failed:default", 0, -1) == [b"j"]
    assert not store.exists(keys.lease(holder.child))
