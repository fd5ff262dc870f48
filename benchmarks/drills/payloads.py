"""Jobs in Redis that no producer of ours has written, or that something has spoilt."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from redis import Redis

from benchmarks.drills.trial import Trial

#: So many in each trial: 10,000 in a hundred.
EACH = 100
_AT_ONCE = 10
_WORK = "benchmarks.drills.tasks.work"
#: What RQ counts down: with a large number such a job goes on as it says.
_COUNTED = ("retries_left", "repeats_left", "headway_retry")
_FIELDS = (
    *("status", "created_at", "enqueued_at", "timeout", "result_ttl", "ttl"),
    *("failure_ttl", "origin", "description", "meta", *_COUNTED),
    *("retry_intervals", "dependency_ids", "worker_name", "started_at", "data"),
    *("success_callback_name", "failure_callback_name", "stopped_callback_name"),
    *("repeat_intervals", "serializer", "group_id"),
    *("headway_attempt", "headway_expires", "headway_on_orphan", "headway_crashes"),
)


def bad_payloads(trial: Trial) -> None:
    """Put such jobs between good ones: each is to end, and no worker."""
    trial.use_queues(2)
    crew = trial.crew()
    trial.warm_up()
    pids = {process.pid for process in crew.parents()}
    sent = 0
    while sent < EACH:
        for _job in range(min(_AT_ONCE, EACH - sent)):
            put_bad_payload(trial)
            sent += 1
        trial.work(0.1)
    trial.wait_for_the_rest()
    if pids != {process.pid for process in crew.parents()}:
        trial.problems.append("a bad job has ended the worker")


def put_bad_payload(trial: Trial) -> None:
    """Write a job's hash that is wrong somewhere, and put its id into a queue."""
    job_id, queue = trial.load.new_id(), trial.dice.choice(trial.load.queues)
    client, dice = trial.server.client, trial.dice
    spoil = dice.choice(_SPOILT)
    spoil(client, job_id, queue, dice)
    client.rpush(f"rq:queue:{queue}", job_id)
    client.sadd("rq:queues", f"rq:queue:{queue}")
    trial.load.bad.append(job_id)


def _good(queue: str) -> dict[str, str | bytes]:
    now = "2026-01-01T00:00:00.000000Z"
    return {
        "status": "queued",
        "origin": queue,
        "data": json.dumps([_WORK, None, [1.0], {}]),
        "created_at": now,
        "enqueued_at": now,
        "timeout": "180",
        "description": "a job",
    }


def _wrong_field(client: Redis, job_id: str, queue: str, dice: random.Random) -> None:
    fields = _good(queue)
    for _field in range(dice.choice((1, 1, 2, 5))):
        name = dice.choice(_FIELDS)
        junk = _junk(dice)
        fields[name] = b"?" + junk if name in _COUNTED else junk
    client.hset(f"rq:job:{job_id}", mapping=fields)


def _missing_fields(
    client: Redis, job_id: str, queue: str, dice: random.Random
) -> None:
    fields = _good(queue)
    for name in dice.sample(list(fields), dice.randrange(1, len(fields))):
        del fields[name]
    client.hset(f"rq:job:{job_id}", mapping=fields)


def _no_hash(_client: Redis, _job_id: str, _queue: str, _dice: random.Random) -> None:
    """Leave an id that names nothing."""


def _no_job(client: Redis, job_id: str, _queue: str, dice: random.Random) -> None:
    key = f"rq:job:{job_id}"
    kind = dice.randrange(4)
    if kind == 0:
        client.set(key, _junk(dice))
    elif kind == 1:
        client.rpush(key, _junk(dice))
    elif kind == 2:  # noqa: PLR2004 - one of four
        client.zadd(key, {_junk(dice): 1.0})
    else:
        client.sadd(key, _junk(dice))


def _wrong_call(client: Redis, job_id: str, queue: str, dice: random.Random) -> None:
    call: list[object] = [
        dice.choice((_WORK, "os.system", "no.such", "", "benchmarks.drills.tasks.no")),
        dice.choice((None, "Instance", 3)),
        dice.choice(([], ["x"], [1, 2, 3], {}, None, [[[[]]]])),
        dice.choice(({}, {"no": 1}, [], None)),
    ]
    if dice.random() < 0.3:  # noqa: PLR2004 - three of ten
        call = call[: dice.randrange(4)]
    client.hset(f"rq:job:{job_id}", mapping=_good(queue) | {"data": json.dumps(call)})


def _junk(dice: random.Random) -> bytes:
    kinds: tuple[Callable[[], bytes], ...] = (
        lambda: b"",
        lambda: dice.randbytes(dice.randrange(1, 40)),
        lambda: str(dice.choice((-1, 0, 10**30, 1.5, "nan", "inf"))).encode(),
        lambda: b"\x80\x04\x95" + dice.randbytes(10),  # how a pickle begins
        lambda: json.dumps({"a": [None, {"b": "c"}]}).encode(),
        lambda: b"[" * dice.randrange(1, 3000),
        lambda: b"x\x9c" + dice.randbytes(20),  # how what zlib has packed begins
        "snowman \u2603 \ud7ff".encode,
        lambda: b"2026-13-45T99:99:99Z",
        lambda: b"benchmarks.drills.tasks.work",
    )
    return dice.choice(kinds)()


_SPOILT = (_wrong_field, _wrong_field, _missing_fields, _no_hash, _no_job, _wrong_call)
