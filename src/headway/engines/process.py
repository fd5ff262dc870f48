"""One process of an engine's worker, as far as it is ours."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING

from headway.app import App, load_app
from headway.backends.carried import CarriedBackend
from headway.errors import ConfigurationError
from headway.lease import Served
from headway.settings import Settings
from headway.wire import client as wire_client
from headway.wire.server import check_server
from headway.wire.supervision import RedisSupervisorBroker
from headway.worker.alarm import Alarm
from headway.worker.carried import Carried
from headway.worker.contact import Contact
from headway.worker.deadlines import Deadlines
from headway.worker.identity import Identity
from headway.worker.keeper import Keeper
from headway.worker.office import Office
from headway.worker.plan import Plan
from headway.worker.steward import Steward

if TYPE_CHECKING:
    from redis import Redis

log = logging.getLogger("headway.worker")

_NONE = "none: say engine= in queues.py, or set HEADWAY_ENGINE"
#: How often a job is told that it has to end, in seconds.
AGAIN = 0.5
#: Beyond the grace, for what is broken off to be given back, in seconds.
SPARE = 4.0


def loaded() -> App:
    """Return the application that the environment names, with all its tasks.

    Raises:
        ConfigurationError: there is none, or nothing names a Redis.
    """
    settings = Settings.from_environment()
    if settings.redis_url is None:
        raise ConfigurationError(
            "REDIS_URL is not set: jobs are kept there, whichever engine carries them"
        )
    app = load_app(settings.app)
    for module, error in app.registry.import_all().items():
        log.error("%s does not import, its jobs will fail: %s", module, error)
    return app


def served(app: App, engine: str, wanted: Sequence[str] = ()) -> list[str]:
    """Return the queues of an engine, those that are wanted; all of them without.

    Raises:
        ConfigurationError: one is not declared, or another engine's.
    """
    declared = {queue.name: queue.engine or app.engine for queue in app.queues}
    for name in wanted:
        if declared.get(name) != engine:
            theirs = [name for name, whose in declared.items() if whose == engine]
            raise ConfigurationError(
                f"queue {name!r} is not served by {engine}: it is "
                f"{declared.get(name) or 'not declared'}; those of {engine} are "
                f"{', '.join(theirs) or _NONE}"
            )
    found = list(wanted) or [n for n, whose in declared.items() if whose == engine]
    if not found:
        raise ConfigurationError(f"no queue is served by {engine}: {_NONE}")
    return found


def grace() -> float:
    """Return for how long running jobs are let end, in seconds."""
    return Settings.from_environment().grace.total_seconds()


@contextlib.contextmanager
def said_plainly() -> Generator[None]:
    """End this process by what is wrong, in one line: it is no error of ours.

    Raises:
        SystemExit: with that.
    """
    try:
        yield
    except ConfigurationError as error:
        raise SystemExit(f"headway: {error}") from None


def leave_at_last(
    seconds: float, children: Callable[[], Iterable[int]] = tuple
) -> None:
    """End this process after so long, if it is there yet, and its children before it.

    What holds it up is a Redis that is away. The leases keep what could not be given
    back.
    """

    def leave() -> None:
        log.error("what runs here could not be given back: left to its lease")
        for pid in children():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        os._exit(1)

    timer = threading.Timer(seconds, leave)
    timer.daemon = True
    timer.start()


class Process:
    """What runs jobs in this process, what keeps them, and what serves all."""

    def __init__(
        self,
        app: App,
        engine: str,
        queues: Sequence[str],
        *,
        in_threads: bool = False,
        waits: float = math.inf,
    ) -> None:
        """Be there; jobs run in the thread that calls this, or in others.

        Raises:
            ConnectionError: Redis does not answer for as long as this `waits`.
        """
        settings = Settings.from_environment()
        url = settings.redis_url or ""
        wire_client.wait_until_up(url, say=log.warning, seconds=waits)
        client = wire_client.connect(url, patience=wire_client.WORKER)
        check_server(client)
        self._office = _office(app, settings, engine, queues, client)
        in_main = threading.current_thread() is threading.main_thread()
        self.alarm = Alarm() if in_main and not in_threads else Deadlines()
        if isinstance(self.alarm, Alarm):
            self.alarm.install()
        self.carried = Carried(app, self._office, client, self.alarm)
        self._app, self._engine = app, engine
        self._keeper: Keeper | None = None
        self._steward: Steward | None = None
        self.pid = os.getpid()

    def keep(self) -> None:
        """Begin to run jobs here: they are kept from now on."""
        self._app.warm_up({queue.name for queue in self._office.plan.queues})
        self._keeper = Keeper(self.carried)
        self._keeper.start()

    def serve(self) -> Steward:
        """Return what serves all workers; it begins with that at the first call."""
        if self._steward is None:
            backend = self._app.backend(self._engine)
            if not isinstance(backend, CarriedBackend):
                raise ConfigurationError(f"{self._engine} carries no jobs")
            self._steward = Steward(self.carried, backend)
            self._steward.start()
        return self._steward

    def let_end(self) -> None:
        """Let running jobs end within the grace, then break them off."""
        leave_at_last(grace() + SPARE)
        threading.Thread(
            target=self._break_off, name="headway-grace", daemon=True
        ).start()

    def _break_off(self) -> None:
        time.sleep(grace())
        while self.carried.leave():
            time.sleep(AGAIN)

    def close(self) -> None:
        """Leave."""
        if self._keeper is not None:
            self._keeper.close()
        if self._steward is not None:
            self._steward.close()
        self.carried.close()
        with contextlib.suppress(Exception):
            self._app.close()


def _office(
    app: App,
    settings: Settings,
    engine: str,
    queues: Sequence[str],
    client: Redis,
) -> Office:
    identity = Identity.of_this_process(settings.host)
    host = identity.host.partition(".")[0]
    plan = Plan(
        app=settings.app,
        name=f"{host}-{engine}-{os.getpid()}-{secrets.token_hex(2)}",
        queues=tuple(Served(name=name, prefetch=1) for name in queues),
        lease=settings.lease,
    )
    own = wire_client.with_patience(client, wire_client.LOOP)
    lease = plan.lease.total_seconds()
    return Office(
        plan=plan,
        client=own,
        broker=RedisSupervisorBroker(own, queues, lease=lease),
        contact=Contact(app.clock, own.ping, own.connection_pool.disconnect),
        clock=app.clock,
        identity=identity,
    )
