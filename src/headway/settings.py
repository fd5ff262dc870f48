"""What the environment says, read once, with all its mistakes reported together."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from headway.errors import ConfigurationError

#: Where Redis may be named, first one wins. Platforms differ in the name.
REDIS_NAMES = ("REDIS_URL", "REDIS_TLS_URL", "REDISCLOUD_URL", "RQ_REDIS_URL")
REDIS_SCHEMES = ("redis", "rediss", "unix", "valkey", "valkeys")
#: A GPU as CUDA_VISIBLE_DEVICES may call it; MIG's old names have slashes.
DEVICE = re.compile(r"[0-9]{1,3}|(GPU|MIG)-[\w/-]+", re.ASCII)
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMATS = ("text", "json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Headway's view of the environment; `from_environment` reads and checks it."""

    #: None where nothing names a Redis: development commands then start their own.
    redis_url: str | None = None
    #: RabbitMQ, where an engine is to keep its messages; None: they are in Redis.
    broker_url: str | None = field(default=None, repr=False)
    #: The application, as `module:attribute`.
    app: str = "queues:app"
    #: The folder of the embedded servers.
    data: Path = Path(".headway")
    #: How long `headway up` lets running jobs finish when it stops.
    grace: timedelta = timedelta(seconds=25)
    #: How long the jobs of a host that is lost are waited for.
    lease: timedelta = timedelta(seconds=30)
    #: The port of the dashboard.
    port: int = 9181
    #: Where the dashboard listens; open to others, it wants sign-in.
    dashboard_host: str = "127.0.0.1"
    #: `name:password[:view]`, with commas between users.
    dashboard_users: str = field(default="", repr=False)
    #: Signs the dashboard's sessions; sign-in needs it in production.
    secret: str | None = field(default=None, repr=False)
    #: What this machine is called among those that run workers.
    host: str = field(default_factory=socket.gethostname)
    log_level: str = "INFO"
    log_format: str = "text"
    #: How many children a worker has; None where nothing says so.
    children: int | None = None
    #: The platform's word for how many processes fit; `headway worker` alone heeds it.
    web_concurrency: int | None = None
    #: The GPUs to use, by number or UUID, so that nothing is looked for.
    devices: tuple[str, ...] | None = None
    #: The Python of an environment that has arq, where this one has not.
    arq_python: str | None = None
    #: What this process was given of CUDA's own; the empty text hides every GPU.
    cuda_visible_devices: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """Read and check `os.environ`, or the mapping given in its place.

        Raises:
            ConfigurationError: naming every variable that is wrong, each with
                its value and what is expected.
        """
        reader = _Reader(os.environ if environment is None else environment)
        settings = cls(
            redis_url=reader.redis_url(),
            broker_url=reader.broker_url(),
            app=reader.app(),
            data=Path(reader.text("HEADWAY_DATA", ".headway")),
            grace=timedelta(seconds=reader.number("HEADWAY_GRACE", 25, 0, 86_400)),
            lease=timedelta(seconds=reader.number("HEADWAY_LEASE", 30, 3, 3600)),
            port=reader.number("PORT", 9181, 0, 65_535),
            dashboard_host=reader.text("HEADWAY_DASHBOARD_HOST", "127.0.0.1"),
            dashboard_users=reader.text("HEADWAY_DASHBOARD_USERS", ""),
            secret=reader.environment.get("HEADWAY_SECRET") or None,
            host=reader.text("HEADWAY_HOST", socket.gethostname()),
            log_level=reader.one_of("LOG_LEVEL", LOG_LEVELS, "INFO"),
            log_format=reader.one_of("LOG_FORMAT", LOG_FORMATS, "text"),
            children=reader.count("HEADWAY_CHILDREN"),
            web_concurrency=reader.count("WEB_CONCURRENCY"),
            devices=reader.devices(),
            arq_python=reader.environment.get("HEADWAY_ARQ_PYTHON") or None,
            cuda_visible_devices=reader.environment.get("CUDA_VISIBLE_DEVICES"),
        )
        reader.refuse_mistakes()
        return settings


def engine_override() -> str | None:
    """Return the engine that the environment names, whatever the code says."""
    return os.environ.get("HEADWAY_ENGINE") or None


class _Reader:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.mistakes: list[str] = []

    def text(self, name: str, default: str) -> str:
        return self.environment.get(name) or default

    def number(self, name: str, default: int, low: int, high: int) -> int:
        written = self.text(name, str(default))
        if written.isdecimal() and low <= int(written) <= high:
            return int(written)
        self.mistakes.append(
            f"{name}={written!r}: expected a whole number from {low} to {high}"
        )
        return default

    def count(self, name: str) -> int | None:
        return self.number(name, 1, 1, 1024) if self.environment.get(name) else None

    def devices(self) -> tuple[str, ...] | None:
        written = self.text("HEADWAY_DEVICES", "")
        names = tuple(name.strip() for name in written.split(","))
        if not written:
            return None
        if not all(map(DEVICE.fullmatch, names)) or len(set(names)) < len(names):
            self.mistakes.append(
                f"HEADWAY_DEVICES={written!r}: expected numbers or UUIDs of "
                "`nvidia-smi -L`, each once, as 0,1"
            )
        return names

    def one_of(self, name: str, choices: tuple[str, ...], default: str) -> str:
        written = self.text(name, default)
        for choice in choices:
            if written.lower() == choice.lower():
                return choice
        self.mistakes.append(f"{name}={written!r}: expected one of {choices}")
        return default

    def app(self) -> str:
        written = self.text("HEADWAY_APP", "queues:app")
        module, _, attribute = written.partition(":")
        if not (module and attribute):
            self.mistakes.append(
                f"HEADWAY_APP={written!r}: expected module:attribute, as queues:app"
            )
        return written

    def redis_url(self) -> str | None:
        for name in REDIS_NAMES:
            if url := self.environment.get(name):
                self._check_redis_url(name, url)
                return url
        return None

    def broker_url(self) -> str | None:
        url = self.environment.get("HEADWAY_BROKER_URL") or None
        if url is not None and not _is_amqp(url):
            self.mistakes.append(
                f"HEADWAY_BROKER_URL={without_password(url)!r}: expected RabbitMQ's "
                "address, as amqp://user:password@host:5672/vhost; without it messages "
                "are kept in REDIS_URL"
            )
        return url

    def _check_redis_url(self, name: str, url: str) -> None:
        try:
            parts = urlsplit(url)
            _ = parts.port
            if parts.scheme != "unix" and parts.path.strip("/"):
                int(parts.path.strip("/"))  # redis-py would take database 0
        except ValueError:
            parts = None
        if parts is None or parts.scheme not in REDIS_SCHEMES:
            self.mistakes.append(
                f"{name}={without_password(url)!r}: expected an address like "
                "redis://host:6379/0, rediss://:password@host:6380 or unix:///path"
            )

    def refuse_mistakes(self) -> None:
        if self.mistakes:
            raise ConfigurationError(
                "the environment cannot be used:\n  " + "\n  ".join(self.mistakes)
            )


def without_password(url: str) -> str:
    """Return the address as messages show it: nothing before its @, no password=."""
    scheme, separator, rest = url.rpartition("://")
    shown = f"{scheme}{separator}{rest.rpartition('@')[2]}"
    return re.sub(r"(password=)[^&#]*", r"\1***", shown)


def _is_amqp(url: str) -> bool:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return False
    return parts.scheme in ("amqp", "amqps")
