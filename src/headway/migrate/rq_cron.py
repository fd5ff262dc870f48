"""What a file for `rq cron` registers, read as RQ reads it."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from redis import Redis
from rq.cron import CronJob, CronScheduler

from headway.app import App
from headway.cron import Cron
from headway.errors import ConfigurationError, HeadwayError
from headway.migrate.found import Found, name_for
from headway.migrate.rq_options import options_of
from headway.schedule import Schedule
from headway.timing import Every, Timing

_WITH_SECONDS = 6


def read(app: App, path: str, zone: str) -> list[Found]:
    """Return what a file registers; `zone` is that of the process that has run it.

    Raises:
        ConfigurationError: the file cannot be loaded.
    """
    reader = _Reader(Redis())  # which it does not ask
    try:
        reader.load_config_from_file(path)
    except Exception as error:  # whatever the file raises
        raise ConfigurationError(f"{path}: {error}") from error
    found: list[Found] = []
    taken: set[str] = set()
    for job in reader.get_jobs():
        name = name_for(job.name, taken)
        taken.add(name)
        found.append(_found(app, job, name, zone))
    return found + reader.refused


class _Reader(CronScheduler):
    """RQ's reader of such files, which would leave out what it cannot register."""

    def __init__(self, connection: Redis) -> None:
        super().__init__(connection)
        self.log = logging.getLogger(__name__)
        self.log.disabled = True  # what it would say is in `refused`
        self.refused: list[Found] = []

    def register(
        self,
        func: Callable[..., Any],
        *args: Any,  # noqa: ANN401 - as RQ has them
        **kwargs: Any,  # noqa: ANN401 - likewise
    ) -> CronJob:
        """Register a function, or remember why that cannot be."""
        try:
            return super().register(func, *args, **kwargs)
        except (TypeError, ValueError) as error:
            task = f"{func.__module__}.{func.__name__}"
            why = (f"rq cron itself refuses it: {error}",)
            self.refused.append(Found(name=task, task=task, when="", notes=why))
            raise


def _found(app: App, job: CronJob, name: str, zone: str) -> Found:
    when = f"every {job.interval} seconds" if job.interval else f"{job.cron} in {zone}"
    try:
        schedule, notes = _schedule(app, job, name, zone)
    except HeadwayError as error:
        return Found(name=job.name, task=job.func_name, when=when, notes=(str(error),))
    return Found(
        name=job.name,
        task=job.func_name,
        when=schedule.timing.in_words,
        carried=schedule,
        notes=tuple(notes),
    )


def _schedule(
    app: App, job: CronJob, name: str, zone: str
) -> tuple[Schedule, list[str]]:
    said: dict[str, Any] = job.job_options
    options, notes = options_of({**said, "timeout": said.get("job_timeout")})
    notes += [
        f"its {word} is left out" for word in ("meta", "webhooks") if word in said
    ]
    options["queue"] = job.queue_name
    task = app.resolve(job.func_name).using(**options)
    message = task.message(*job.args, **job.kwargs)
    return Schedule(name, _timing(job, zone), message), notes


def _timing(job: CronJob, zone: str) -> Timing:
    if job.interval:
        return Every(seconds=job.interval)
    words = str(job.cron).split()
    if len(words) == _WITH_SECONDS:  # which RQ has at the end
        words = [words[-1], *words[:-1]]
    return Cron(" ".join(words), zone=zone)
