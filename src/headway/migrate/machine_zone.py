"""The name of the zone that this machine's clock is set to."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headway.errors import ConfigurationError

_CLOCK, _NAME = Path("/etc/localtime"), Path("/etc/timezone")


def machine_zone() -> str:
    """Return it, as Europe/Oslo; a machine that says nothing goes by UTC.

    Raises:
        ConfigurationError: what it says is no name of a zone.
    """
    said = os.environ.get("TZ", "").removeprefix(":")
    is_of_system = said in ("", str(_CLOCK))
    if is_of_system:
        said = _of_the_system()
    name = said.rpartition("zoneinfo/")[2]
    try:
        zone = ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ConfigurationError(
            f"this machine's zone {said!r} has no name that others know: say which it "
            "is, as Europe/Oslo"
        ) from error
    if is_of_system:
        _compare(zone, said)
    return name


def _compare(zone: ZoneInfo, said: str) -> None:
    """Refuse a name that this machine's clock does not go by, now and all the year.

    Where /etc/localtime is a file of its own, nothing says whose that is.
    """
    now = datetime.now(UTC)
    days = (datetime(now.year, month, 1, tzinfo=UTC) for month in (1, 7))
    for moment in (now, *days):
        clock = timedelta(seconds=time.localtime(moment.timestamp()).tm_gmtoff)
        if moment.astimezone(zone).utcoffset() != clock:
            raise ConfigurationError(
                f"this machine's zone seems to be {said!r}, but its clock is {clock} "
                f"from UTC at {moment:%Y-%m-%d}: say which it is, as Europe/Oslo"
            )


def _of_the_system() -> str:
    if _CLOCK.is_symlink():
        return str(_CLOCK.readlink())
    return _NAME.read_text().strip() if _NAME.exists() else "UTC"
