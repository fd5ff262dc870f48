"""What is not here: it is refused by its name, with what there is instead."""

from __future__ import annotations

from typing import NoReturn

from headway.errors import ConfigurationError

PAGE = "see docs/how-to/from-celery.md"


def refuse(what: str, instead: str) -> NoReturn:
    """Refuse a value or a call.

    Raises:
        ConfigurationError: always.
    """
    raise ConfigurationError(
        f"{what} is not in headway.shims.celery: {instead}; {PAGE}"
    )


def missing(owner: str, name: str, instead: dict[str, str]) -> AttributeError:
    """Return what to raise where an attribute is looked for in vain."""
    hint = f"{instead[name]}; " if name in instead else ""
    return AttributeError(
        f"headway.shims.celery: {owner} has no {name!r}: {hint}{PAGE}", name=name
    )
