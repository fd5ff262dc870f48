"""Times of the day by a line of cron, right where clocks go forward and back.

A line that names hours means times of the day: each comes once a day, whatever clocks
do. A line for every hour means real time: it leaves no hour out and repeats none, but
runs in both of the hours that clocks show twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from headway import cron_line, local_time
from headway.local_time import SECOND, Fold


@dataclass(frozen=True, slots=True)
class Cron:
    """Five fields of cron, or six with seconds in front, read in a zone."""

    line: str
    zone: str = "UTC"

    def __post_init__(self) -> None:
        """Refuse a line or a zone that means nothing, and a line that never comes.

        Raises:
            ConfigurationError: naming it.
        """
        owner = f"Cron({self.line!r}, zone={self.zone!r})"
        local_time.zone_of(owner, self.zone)
        cron_line.check_line(owner, self.line)

    @property
    def in_words(self) -> str:
        """Return the line and its zone."""
        return f"{self.line} in {self.zone}"

    def to_wire(self) -> dict[str, str | float]:
        """Return the timing as JSON."""
        return {"kind": "cron", "line": self.line, "zone": self.zone}

    def next_after(self, moment: datetime) -> datetime | None:
        """Return the first moment of the line after `moment`, in UTC."""
        local_time.check_aware("Cron.next_after", moment)
        zone = ZoneInfo(self.zone)
        try:
            shown = moment.astimezone(zone).replace(microsecond=0)
            if cron_line.is_every_hour(self.line):
                return self._next_real(shown, zone)
            return self._next_of_day(shown, zone)
        except OverflowError:
            return None  # the calendar ends

    def _next_of_day(self, shown: datetime, zone: ZoneInfo) -> datetime | None:
        after = shown.replace(tzinfo=None, fold=0)
        fold = local_time.fold_at(after, zone) if shown.fold else None
        if fold is not None:
            # Seen a second time: up to the end of the fold, all has been due.
            after = fold.local_end - SECOND
        found = cron_line.following(self.line, after)
        return found and local_time.due(found, zone)

    def _next_real(self, shown: datetime, zone: ZoneInfo) -> datetime | None:
        after = shown.replace(tzinfo=None, fold=0)
        found = cron_line.following(self.line, after)
        fold = local_time.fold_at(after, zone)
        if fold is not None:
            if not shown.fold and (found is None or found >= fold.local_end):
                # The first pass is over: the second begins.
                found, shown = self._first_in(fold) or found, shown.replace(fold=1)
            if shown.fold and found is not None and found < fold.local_end:
                return local_time.second_pass(found, zone)
        return found and self._due_by_real_time(found, zone)

    def _first_in(self, fold: Fold) -> datetime | None:
        return cron_line.following(self.line, fold.local_start - SECOND)

    def _due_by_real_time(self, found: datetime, zone: ZoneInfo) -> datetime | None:
        """Return when it is due; what a gap leaves out, other times may stand for."""
        later: datetime | None = found
        while later is not None and (gap := local_time.gap_at(later, zone)):
            stands_for_it = later + gap.length
            if cron_line.names(self.line, gap.local_end) or not cron_line.names(
                self.line, stands_for_it
            ):
                return gap.end
            later = cron_line.following(self.line, later)
        return later and local_time.first_pass(later, zone)
