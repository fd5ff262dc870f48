from __future__ import annotations

import signal

import click

from headway.cli.environment import prepare, the_app
from headway.declared_schedules import declared_schedules
from headway.observe.log import log_events
from headway.scheduler import Scheduler, stop_at


@click.command()
def scheduler() -> None:
    """Send delayed jobs and schedules when they are due; any number may run."""
    app = the_app(prepare())
    log_events(app)
    numbers = (signal.SIGTERM, signal.SIGINT)
    stop = stop_at(*numbers)
    Scheduler(app, declared_schedules(app)).run(stop)
    for number in numbers:  # told twice, it has ended well, too
        signal.signal(number, signal.SIG_IGN)
