from __future__ import annotations

import signal
import threading
from functools import partial

import click

from headway.cli.environment import prepare, the_app
from headway.observe.log import log_events
from headway.scheduler import Scheduler, declared


@click.command()
def scheduler() -> None:
    """Send delayed jobs and schedules when they are due; any number may run."""
    app = the_app(prepare())
    log_events(app)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, partial(_tell, stop))
    Scheduler(app, declared(app)).run(stop)
    for number in (signal.SIGTERM, signal.SIGINT):  # told twice, it has ended well, too
        signal.signal(number, signal.SIG_IGN)


def _tell(stop: threading.Event, *_signal: object) -> None:
    stop.set()
