"""Schedules and their ticks, as lines for a person."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from headway.schedules import ScheduleInfo
from headway.span import in_words, short
from headway.timetable import Tick
from headway.when import due_in, from_now, in_zone, on_the_clock

_HEADS = ("SCHEDULE", "WHEN", "NEXT", "LAST", "FROM")
_HISTORY = ("DUE", "SENT", "OUTCOME", "JOB")
#: What whoever declares nothing has made by `app.schedules` or this command.
_AT_RUN_TIME = "run time"


def table(infos: Sequence[ScheduleInfo], now: datetime) -> Iterator[str]:
    """Yield a line for each schedule, and one beneath it that says its problem."""
    rows = [
        (
            info.name,
            info.timing or "-",
            next_of(info, now),
            last_of(info, now),
            info.declared or _AT_RUN_TIME,
        )
        for info in infos
    ]
    head, *lines = aligned([_HEADS, *rows])
    yield head
    for info, line in zip(infos, lines, strict=True):
        yield line
        if info.problem:
            yield f"    problem: {plain(info.problem)}"


def next_of(info: ScheduleInfo, now: datetime) -> str:
    """Say when it is due next, or why it is not."""
    if info.paused:
        return "paused"
    if info.problem:
        return "-"
    return moment(info.next_due, now) if info.next_due else "none any more"


def last_of(info: ScheduleInfo, now: datetime) -> str:
    """Say what became of its last tick, and when that was."""
    if info.last is None:
        return "none yet"
    return f"{_outcome(info.last)}, {from_now(info.last.sent_at or info.last.due, now)}"


def moment(at: datetime, now: datetime) -> str:
    """Return when something is due, as "Fri 27 Nov 03:00 CET, in 7 h 12 min"."""
    return f"{on_the_clock(at, now)}, {due_in(at, now)}"


def portrait(
    info: ScheduleInfo, coming: Sequence[datetime], now: datetime
) -> Iterator[str]:
    """Yield all that there is to know of one, but for its history."""
    facts = {
        "when": info.timing or "-",
        "task": f"{info.task}({_call(info.args, info.kwargs)})",
        "queue": info.queue or "-",
        "from": info.declared or _AT_RUN_TIME,
        "next": next_of(info, now),
        "last": last_of(info, now),
    }
    facts |= {
        name: on_the_clock(in_zone(at, info.zone), now)
        for name, at in (("start", info.start), ("end", info.end))
        if at is not None
    }
    if info.problem:
        facts["problem"] = info.problem
    else:
        facts |= {"misfire": _misfire(info), "overlap": info.overlap}
    yield plain(info.name)
    for name, said in facts.items():
        yield f"  {name:8} {plain(said)}"
    if coming:
        yield "next ticks, if it were resumed now" if info.paused else "next ticks"
        yield from (f"  {moment(each, now)}" for each in coming)


def history(info: ScheduleInfo, ticks: Sequence[Tick], now: datetime) -> Iterator[str]:
    """Yield a line for each tick, latest first, and one beneath with its reason."""
    rows = [
        (
            on_the_clock(in_zone(tick.due, info.zone), now),
            _sent(tick),
            _outcome(tick),
            tick.job_id or "-",
        )
        for tick in ticks
    ]
    head, *lines = aligned([_HISTORY, *rows])
    yield head
    for tick, line in zip(ticks, lines, strict=True):
        yield line
        if tick.reason:
            yield f"    {plain(tick.reason)}"


def plain(text: str) -> str:
    """Return text on one line, without what would move a terminal's cursor."""
    return "".join(
        each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in text
    )


def aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield rows as lines with their cells beneath each other, each `plain`."""
    shown = [[plain(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*shown, strict=True)]
    for row in shown:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        yield "  ".join(cells).rstrip()


def _outcome(tick: Tick) -> str:
    if tick.outcome == "missed" and tick.count != 1:
        return f"missed {tick.count or 'many'}"
    return tick.outcome or "sent"


def _sent(tick: Tick) -> str:
    if tick.by_hand:
        return "by hand"
    return f"{short(tick.sent_at - tick.due)} late" if tick.sent_at else "-"


def _misfire(info: ScheduleInfo) -> str:
    limit = f", {info.misfire_limit} at most" if info.misfire == "all" else ""
    return f"{info.misfire}{limit}, for what is later than {in_words(info.grace)}"


def _call(args: Sequence[object], kwargs: Mapping[str, object]) -> str:
    said = [_json(value) for value in args]
    said += [f"{name}={_json(value)}" for name, value in kwargs.items()]
    return ", ".join(said)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
