"""The name of the zone that this machine's clock is set to."""

from __future__ import annotations

import os
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headway.errors import ConfigurationError

_CLOCK, _NAME = Path("/etc/localtime"), Path("/etc/timezone")


def machine_zone() -> str:
    """Return it, as Europe/Oslo; a machine that says nothing goes by UTC.

    Raises:
        ConfigurationError: what it says is no name of a zone.
    """
    said = os.environ.get("TZ", "").removeprefix(":") or _of_the_system()
    name = said.rpartition("zoneinfo/")[2]
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ConfigurationError(
            f"this machine's zone {said!r} has no name that others know: say which it "
            "is, as Europe/Oslo"
        ) from error
    return name


def _of_the_system() -> str:
    if _CLOCK.is_symlink():
        return str(_CLOCK.readlink())
    return _NAME.read_text().strip() if _NAME.exists() else "UTC"
