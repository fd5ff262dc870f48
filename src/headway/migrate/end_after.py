from __future__ import annotations

from datetime import datetime

from headway.timing import Timing


def end_after(timing: Timing, since: datetime, count: int) -> datetime | None:
    """Return the moment of that number after `since`; None: there are fewer."""
    moment = since
    for _ in range(count):
        following = timing.next_after(moment)
        if following is None:
            return None
        moment = following
    return moment
