"""Schedules in Redis: where each has come to, and what became of its ticks."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from headway.errors import ConfigurationError
from headway.message import Envelope
from headway.timetable import (
    KEPT,
    Answer,
    Due,
    DueTick,
    Entry,
    Missed,
    Tick,
    Waiting,
)
from headway.wire import job_hash, keys
from headway.wire.outage import Asker, explained
from headway.wire.reading import Fields, text
from headway.wire.scripts import Scripts

if TYPE_CHECKING:
    from redis import Redis

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MOST = (datetime(9999, 1, 1, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_FINAL = ("finished", "failed", "canceled", "stopped")
#: How soon a tick is tried again that waits for a job to end, and how often such jobs
#: are looked at, at most: the older, the rarer.
AGAIN = timedelta(seconds=0.25)
_RAREST, _SHARE = 60.0, 0.1
_WAITING = ("since", "asked_at", "away_from", "away_until")
_FIELDS = ("version", "declared", "paused", "cursor", "waiting", "last_job")


class RedisTimetable(Asker):
    """The schedules in one Redis."""

    def __init__(
        self,
        connect: Callable[[], Redis],
        written: Callable[[Envelope, Callable[[Envelope], Answer]], Answer],
    ) -> None:
        """Ask Redis by a client; `written` has a job written as any other is sent."""
        super().__init__(connect)
        self._written = written
        self._scripts = Scripts()

    # Keeping schedules

    @explained
    def now(self) -> datetime:
        """Return the time of day by the store's own clock."""
        return self.due(0).now

    @explained
    def names(self) -> list[str]:
        """Return the names of all schedules, in order."""
        return sorted(text(name) for name in self.client.hkeys(keys.SCHEDULES))

    @explained
    def entries(self, names: Collection[str] | None = None) -> list[Entry]:
        """Return all schedules, or those of some names that are there; by name."""
        return list(self._entries(self.names() if names is None else sorted(names)))

    @explained
    def entry(self, name: str) -> Entry | None:
        """Return a schedule, or None."""
        return next(self._entries([name]), None)

    def _entries(self, names: Sequence[str]) -> Iterator[Entry]:
        if not names:
            return
        # At one moment: a version beside what another one says would stay so, unseen.
        pipeline = self.client.pipeline()
        pipeline.hmget(keys.SCHEDULES, names)
        for name in names:
            pipeline.hmget(keys.schedule(name), _FIELDS)
        # A key of a wrong type answers with an error: it must not hide the others.
        wires, *states = pipeline.execute(raise_on_error=False)
        if isinstance(wires, RedisError):
            raise wires
        found = [
            (name, wire, Fields(dict(zip(_FIELDS, state, strict=True))))
            for name, wire, state in zip(names, wires, states, strict=True)
            if isinstance(state, list)
        ]
        kept = [each for each in found if each[1] and _is_moment(each[2], "cursor")]
        jobs = [fields.text("last_job") for _name, _wire, fields in kept]
        for (name, wire, fields), status in zip(kept, self._status(jobs), strict=True):
            yield _entry(name, wire, fields, status)

    def _status(self, job_ids: Sequence[str]) -> list[str | None]:
        if not job_ids:
            return []
        pipeline = self.client.pipeline(transaction=False)
        for job_id in job_ids:
            pipeline.hget(keys.job(job_id), "status")
        answers = pipeline.execute(raise_on_error=False)
        return [text(a) if isinstance(a, bytes | str) else None for a in answers]

    @explained
    def put(self, entry: Entry, next_due: datetime | None, was: Entry | None) -> bool:
        """Keep a schedule; False where it is not what it was."""
        all_keys = [keys.SCHEDULES, keys.schedule(entry.name), keys.SCHEDULES_DUE]
        arguments = [
            entry.name,
            json.dumps(entry.wire, sort_keys=True),
            entry.version,
            entry.declared,
            "" if was and was.paused == entry.paused else int(entry.paused),
            micros(was.cursor) if was else "",
            micros(entry.cursor),
            micros(next_due),
            was.version if was else "",
        ]
        try:
            return bool(self._scripts.put_schedule(self.client, all_keys, arguments))
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            raise ConfigurationError(
                f"schedule {entry.name!r}: {keys.schedule(entry.name)} in Redis is not "
                "the hash that it should be: look at it, and delete it"
            ) from error

    @explained
    def remove(self, name: str) -> bool:
        """Forget a schedule and its history; False where there is none."""
        pipeline = self.client.pipeline()
        pipeline.hdel(keys.SCHEDULES, name)
        pipeline.zrem(keys.SCHEDULES_DUE, name)
        pipeline.delete(
            keys.schedule(name), keys.schedule_ticks(name), keys.schedule_history(name)
        )
        return bool(pipeline.execute()[0])

    @explained
    def pause(self, name: str) -> None:
        """Send no tick of it until it is resumed."""
        pipeline = self.client.pipeline()
        pipeline.hset(keys.schedule(name), "paused", "1")
        pipeline.zrem(keys.SCHEDULES_DUE, name)
        pipeline.execute()

    # What a scheduler asks

    @explained
    def due(self, limit: int, without: Collection[str] = ()) -> Due:
        """Return schedules of which a tick is due, the longest due first."""
        now, left, found = self._scripts.due_schedules(
            self.client, [keys.SCHEDULES_DUE], [limit + len(without)]
        )
        names = [name for name in map(text, found) if name not in without]
        return Due(
            now=_moment(text(now)),
            entries=list(self._entries(names[:limit])),
            next_in=None if int(left) < 0 else timedelta(microseconds=int(left)),
        )

    def send(self, entry: Entry, tick: DueTick) -> Answer:
        """Enqueue the job of a tick and move the cursor to it, in one step.

        Raises:
            EnqueueError: Redis did not confirm; asking again does no harm.
        """
        return self._written(tick.envelope, partial(self._send, entry, tick))

    def _send(self, entry: Entry, tick: DueTick, envelope: Envelope) -> Answer:
        terms = envelope.terms
        all_keys = [
            keys.schedule(entry.name),
            keys.SCHEDULES_DUE,
            keys.schedule_ticks(entry.name),
            keys.schedule_history(entry.name),
            keys.SCHEDULES_OPEN,
            keys.job(envelope.id),
            keys.queue(terms.queue),
            keys.QUEUES,
            keys.wake(terms.queue),
        ]
        arguments: list[str | int | bytes] = [
            entry.name,
            entry.version,
            micros(entry.cursor),
            micros(tick.at),
            micros(tick.following),
            tick.overlap,
            keys.JOB_PREFIX,
            envelope.id,
            "LPUSH" if terms.at_front else "RPUSH",
            KEPT,
            AGAIN // _MICROSECOND,
            tick.grace // _MICROSECOND,
            *_job_fields(envelope, tick.now),
        ]
        answer = self._scripts.send_tick(self.client, all_keys, arguments)
        return Answer(text(answer))

    @explained
    def miss(self, entry: Entry, missed: Missed, next_due: datetime | None) -> bool:
        """Write down ticks that are not sent, and move the cursor past them."""
        record = {
            "due": micros(missed.last),
            "first": micros(missed.first),
            "outcome": "missed",
            "count": missed.count,
            "reason": missed.reason,
        }
        all_keys = [
            keys.schedule(entry.name),
            keys.SCHEDULES_DUE,
            keys.schedule_ticks(entry.name),
            keys.schedule_history(entry.name),
        ]
        arguments: list[str | int] = [
            entry.name,
            entry.version,
            micros(entry.cursor),
            micros(missed.last),
            micros(next_due),
            json.dumps(record),
            KEPT,
            int(entry.paused),
        ]
        return bool(self._scripts.miss_ticks(self.client, all_keys, arguments))

    @explained
    def lead(self, who: str, lease: timedelta, queues: Sequence[str] = ()) -> bool:
        """Tell whether `who` is to do the work that one is enough for."""
        milliseconds = lease // timedelta(milliseconds=1)
        key = [_leader(queues)]
        return bool(self._scripts.lead(self.client, key, [who, milliseconds]))

    @explained
    def stand_down(self, who: str, queues: Sequence[str] = ()) -> None:
        """Let another lead at once."""
        self._scripts.unlock(self.client, [_leader(queues)], [who])

    # History

    @explained
    def note(self, name: str, tick: Tick) -> None:
        """Write a tick into the history that moves no cursor."""
        member = micros(tick.due)
        record = {
            "due": member,
            "sent": micros(tick.sent_at),
            "job": tick.job_id,
            "outcome": tick.outcome,
            "by_hand": tick.by_hand,
        }
        ticks, history = keys.schedule_ticks(name), keys.schedule_history(name)
        pipeline = self.client.pipeline()
        pipeline.hset(history, member, json.dumps(record))
        pipeline.zadd(ticks, {member: member})
        pipeline.zadd(keys.SCHEDULES_OPEN, {f"{name}:{member}": member})
        pipeline.zrange(ticks, 0, -KEPT - 1)
        # Ticks may be rare, and people many.
        if surplus := pipeline.execute()[-1]:
            pipeline.zrem(ticks, *surplus)
            pipeline.hdel(history, *surplus)
            pipeline.execute()

    @explained
    def history(self, name: str, limit: int) -> list[Tick]:
        """Return what became of the ticks of a schedule, latest first."""
        ticks_key = keys.schedule_ticks(name)
        members = [text(m) for m in self.client.zrevrange(ticks_key, 0, limit - 1)]
        if not members:
            return []
        records = self.client.hmget(keys.schedule_history(name), members)
        ticks = self._looked_at([_tick(each) for each in records])
        return [tick for tick in ticks if tick is not None]

    @explained
    def latest(self, names: Sequence[str]) -> list[Tick | None]:
        """Return what became of the last tick of each of these schedules."""
        if not names:
            return []
        pipeline = self.client.pipeline(transaction=False)
        for name in names:
            pipeline.zrevrange(keys.schedule_ticks(name), 0, 0)
        # A key of a wrong type answers with an error: it counts as empty.
        answers = pipeline.execute(raise_on_error=False)
        for name, members in zip(names, answers, strict=True):
            last = members[0] if isinstance(members, list) and members else ""
            pipeline.hget(keys.schedule_history(name), text(last))
        records = pipeline.execute(raise_on_error=False)
        return self._looked_at([_tick(each) for each in records])

    def _looked_at(self, ticks: Sequence[Tick | None]) -> list[Tick | None]:
        """Return ticks with what their jobs are now, where that is still open."""
        open_jobs = [t.job_id or "" for t in ticks if t and t.outcome not in _CLOSED]
        status = iter(self._status(open_jobs))
        return [
            t and (t if t.outcome in _CLOSED else _seen(t, next(status))) for t in ticks
        ]

    @explained
    def note_outcomes(self, limit: int) -> int:
        """Write down how jobs of ticks have ended; return how many were looked at."""
        now = self.now()
        members = self.client.zrangebyscore(
            keys.SCHEDULES_OPEN, "-inf", micros(now), 0, limit
        )
        places = [text(member).rpartition(":") for member in members]
        if not places:
            return 0
        pipeline = self.client.pipeline(transaction=False)
        for name, _, tick in places:
            pipeline.hget(keys.schedule_history(name), tick)
        # What cannot be read, or was removed, is not looked at again.
        answers = pipeline.execute(raise_on_error=False)
        records = [
            job_hash.json_object(text(each)) if _was_sent(each) else {}
            for each in answers
        ]
        status = self._status([text(each.get("job")) for each in records])
        for (name, _, tick), record, found in zip(places, records, status, strict=True):
            member = f"{name}:{tick}"
            if record and found is not None and found not in _FINAL:
                pipeline.zadd(keys.SCHEDULES_OPEN, {member: _look_again(record, now)})
                continue
            if record:
                record["outcome"] = found or "gone"
                pipeline.hset(keys.schedule_history(name), tick, json.dumps(record))
            pipeline.zrem(keys.SCHEDULES_OPEN, member)
        pipeline.execute()
        return len(places)


def _leader(queues: Sequence[str]) -> str:
    return keys.queues_leader(queues) if queues else keys.SCHEDULES_LEADER


#: Outcomes that do not change any more.
_CLOSED = (*_FINAL, "missed", "gone")


def _entry(name: str, wire: bytes, fields: Fields, status: str | None) -> Entry:
    return Entry(
        name=name,
        wire=job_hash.json_object(wire),
        version=fields.text("version"),
        declared=fields.text("declared"),
        paused=fields.text("paused") == "1",
        cursor=_moment(fields.text("cursor")),
        waiting=_waiting(fields.text("waiting")),
        last_job=fields.text("last_job") or None,
        last_status=status,
    )


def _waiting(written: str) -> Waiting | None:
    """Read what send_tick.lua keeps in one field: two moments, or four."""
    fields = Fields(dict(zip(_WAITING, written.split(), strict=False)))
    known = {n: _moment(fields.text(n)) for n in _WAITING if _is_moment(fields, n)}
    return Waiting(**known) if {*_WAITING[:2]} <= known.keys() else None


def _job_fields(envelope: Envelope, now: datetime) -> list[str | int | bytes]:
    terms, moment = envelope.terms, job_hash.time_text(now)
    meta = job_hash.meta(terms, None)
    fields: dict[str, str | int | bytes] = {
        "created_at": moment,
        "data": job_hash.payload(terms.task, envelope.arguments),
        "description": envelope.description,
        **job_hash.standing(terms),
        "enqueued_at": moment,
        **({"meta": meta} if meta else {}),
    }
    return [word for pair in fields.items() for word in pair]


def _tick(written: object) -> Tick | None:
    """Read a record of the history; None where there is none that can be read."""
    record = job_hash.json_object(text(written))
    fields, count = Fields(record), record.get("count", 1)
    if not _is_moment(fields, "due"):
        return None
    sent = _is_moment(fields, "sent")
    return Tick(
        due=_moment(fields.text("due")),
        sent_at=_moment(fields.text("sent")) if sent else None,
        job_id=fields.text("job") or None,
        outcome=fields.text("outcome"),
        reason=fields.text("reason"),
        count=count if isinstance(count, int) else None,
        by_hand=bool(record.get("by_hand")),
    )


def _was_sent(written: object) -> bool:
    tick = _tick(written)
    return tick is not None and tick.sent_at is not None


def _is_moment(fields: Fields, name: str) -> bool:
    """Tell whether microseconds stand there that a calendar has."""
    micros = fields.integer(name)
    return micros is not None and 0 <= micros < _MOST


def _seen(tick: Tick, status: str | None) -> Tick:
    return replace(tick, outcome=status or "gone")


def _look_again(record: Mapping[str, Any], now: datetime) -> str:
    """Return when a job is to be looked at again."""
    age = (now - _moment(record["sent"])).total_seconds()
    wait = timedelta(seconds=min(max(1.0, age * _SHARE), _RAREST))
    return micros(now + wait)


def micros(moment: datetime | None) -> str:
    """Return a moment as the scripts take it; empty where there is none."""
    return "" if moment is None else str((moment - _EPOCH) // _MICROSECOND)


def _moment(micros: str) -> datetime:
    return _EPOCH + int(micros) * _MICROSECOND
