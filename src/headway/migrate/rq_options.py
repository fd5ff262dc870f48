"""What RQ says of a job in seconds, as options of ours."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from rq.exceptions import TimeoutFormatError
from rq.utils import parse_timeout

from headway.errors import ConfigurationError
from headway.options import Options

#: RQ's own, and ours.
_RESULT_TTL = timedelta(seconds=500)


def options_of(said: Mapping[str, Any]) -> tuple[Options, list[str]]:
    """Return options for RQ's, and what of them is otherwise here.

    Known are `timeout`, `ttl`, `result_ttl` and `failure_ttl`; None is as by default.

    Raises:
        ConfigurationError: one of them is not to be had.
    """
    options, notes = Options(), list[str]()
    if (timeout := _seconds("timeout", said)) is not None:
        if timeout <= timedelta(0):
            raise ConfigurationError(
                f"timeout={said['timeout']!r}: every attempt has a limit here; give "
                "the longest that it may take"
            )
        options["timeout"] = timeout
    if (ttl := _seconds("ttl", said)) is not None and ttl > timedelta(0):
        options["expires"] = ttl
    if (kept := _seconds("result_ttl", said)) is not None and kept != _RESULT_TTL:
        if kept >= timedelta(0):
            options["result_ttl"] = kept
        else:
            notes.append("results are kept for 500 seconds, not for ever")
    if (kept := _seconds("failure_ttl", said)) is not None:
        if kept > timedelta(0):
            options["failure_ttl"] = kept
        else:
            notes.append("failed jobs are kept for a year, not for ever")
    return options, notes


def _seconds(name: str, said: Mapping[str, Any]) -> timedelta | None:
    try:
        found = parse_timeout(said.get(name))
    except (TimeoutFormatError, TypeError, ValueError, AssertionError) as error:
        raise ConfigurationError(
            f"{name}={said[name]!r}: expected seconds, or a text as '1h'"
        ) from error
    return None if found is None else timedelta(seconds=found)
