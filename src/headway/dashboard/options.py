from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from typing import Any

from flask import Request

from headway.dashboard.panel import Panel
from headway.errors import ConfigurationError
from headway.job import Job
from headway.schedules import Schedules
from headway.signing import RECIPE, SECRET_LENGTH


class Role(StrEnum):
    """What a visitor may do."""

    VIEW = "view"
    ACT = "act"


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """Somebody who may sign in."""

    name: str
    #: As typed, or as werkzeug's `generate_password_hash` writes it.
    password: str = field(repr=False)
    role: Role = Role.ACT


@dataclass(frozen=True, slots=True, kw_only=True)
class Visitor:
    """Who is asking, and what they may do."""

    name: str
    role: Role = Role.VIEW


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the dashboard looks, and who may use it.

    One of three ways in must be chosen: `users` with a `secret`, a `visitor` function
    (your own sign-in), or `open_on_loopback` for development.
    """

    users: tuple[User, ...] = ()
    #: Signs the session cookie. The same in every process that serves the pages.
    secret: str | None = field(default=None, repr=False)
    #: Tells who is asking, by your own means; None turns them away.
    visitor: Callable[[Request], Visitor | None] | None = None
    #: No sign-in, and browsers of this machine only.
    open_on_loopback: bool = False
    #: Queues in their order of urgency; others that Redis knows follow.
    queues: tuple[str, ...] = ()
    #: What the application tells of itself on the front page.
    panels: tuple[Callable[[], Panel | None], ...] = ()
    #: Makes the handle that buttons act by, as `app.job`; None acts on RQ's jobs.
    job: Callable[[str], Job[Any]] | None = None
    #: What is sent by itself, as `app.schedules`; None shows none.
    schedules: Schedules | None = None
    #: Names a task's parameters, as `app.registry.parameters`; None numbers arguments.
    parameters: Callable[[str], Sequence[str]] | None = None
    title: str = "Headway"
    refresh: timedelta = timedelta(seconds=3)
    session: timedelta = timedelta(hours=12)

    @classmethod
    def for_host(
        cls,
        host: str,
        *,
        users: tuple[User, ...] = (),
        secret: str | None = None,
        **others: Any,  # noqa: ANN401 - the other fields, under their names
    ) -> Options:
        """Require sign-in where there are users, or where others could connect.

        Raises:
            ConfigurationError: `host` is open to others and nobody could sign in.
        """
        options = cls(
            users=users,
            secret=secret,
            open_on_loopback=not users and is_loopback(host),
            **others,
        )
        options.check()
        return options

    def check(self) -> None:
        """Refuse options by which anybody, or nobody, could get in.

        Raises:
            ConfigurationError: saying what is missing, and the line to add.
        """
        if self.visitor is not None or (self.open_on_loopback and not self.users):
            return
        if not self.users:
            raise ConfigurationError(
                "nobody could sign in to the dashboard: name users, as in "
                "HEADWAY_DASHBOARD_USERS=ann:a-long-password, or bind it to 127.0.0.1 "
                "in development"
            )
        if len(self.secret or "") < SECRET_LENGTH:
            raise ConfigurationError(
                "the dashboard's sign-in needs HEADWAY_SECRET, of at least "
                f"{SECRET_LENGTH} characters, the same for every process: make one "
                f"with {RECIPE}"
            )


def read_users(written: str) -> tuple[User, ...]:
    """Read `name:password` or `name:password:view`, with commas between users.

    Raises:
        ConfigurationError: an entry lacks its name or password, or a name is twice.
    """
    entries = [entry.strip() for entry in written.split(",")]
    users = tuple(_read_user(entry) for entry in entries if entry)
    if len({user.name for user in users}) < len(users):
        raise ConfigurationError("HEADWAY_DASHBOARD_USERS names somebody twice")
    return users


def _read_user(entry: str) -> User:
    name, _, rest = entry.partition(":")
    password, _, role = rest.rpartition(":")
    if not password or role not in tuple(Role):
        password, role = rest, Role.ACT
    if not name or not password:
        # The entry itself may be a password: it must not stand in a message.
        raise ConfigurationError(
            "HEADWAY_DASHBOARD_USERS: expected name:password or name:password:view, "
            "with commas between users"
        )
    return User(name=name, password=password, role=Role(role))


def is_loopback(host: str) -> bool:
    """Tell whether an address or name is this machine's own."""
    name = host.strip("[]").partition("%")[0].lower().rstrip(".")
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False
