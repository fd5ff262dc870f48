"""The schedules of the drill: a tick each second, in three ways to miss some."""

from __future__ import annotations

from datetime import timedelta

from benchmarks.drills.timed.tasks import tick
from headway import Cron, Every, Schedule

#: How long a job of `BESIDE` takes, in seconds: longer than from one tick to the next.
_LONG = 1.3

#: Every tick of it is sent, however late.
EACH = Schedule(
    "each", Cron("* * * * * *"), tick.message(0.0), misfire="all", misfire_limit=3600
)
#: What is later than a second is left out.
IN_TIME = Schedule(
    "in-time",
    Every(seconds=1),
    tick.message(0.0),
    misfire="skip",
    grace=timedelta(seconds=1),
)
#: Made at run time. What is due while the job before runs is left out.
BESIDE = Schedule(
    "beside",
    Every(seconds=1),
    tick.message(_LONG),
    misfire="all",
    misfire_limit=3600,
    overlap="skip",
)
#: By the name of each, what is said where it leaves a tick out, if it may.
MAY_MISS = {
    EACH.name: None,
    IN_TIME.name: "misfire='skip'",
    BESIDE.name: "overlap='skip'",
}

schedules = [EACH, IN_TIME]
