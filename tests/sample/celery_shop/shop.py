"""A shop's background jobs, written to Celery's documented API."""

import os
import time
from pathlib import Path

from celery import Celery, Task, chain, shared_task
from celery.exceptions import Ignore
from celery.schedules import crontab
from celery.utils.log import get_task_logger

NOTES = Path(os.environ.get("SHOP_NOTES", "notes"))
logger = get_task_logger(__name__)

app = Celery("shop", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
app.conf.update(
    task_routes={"shop.render*": {"queue": "slow"}},
    task_track_started=True,
    timezone="Europe/Oslo",
    beat_schedule={
        "every second": {
            "task": "shop.note",
            "schedule": 1.0,
            "args": ("beat",),
        },
        "report": {
            "task": "shop.note",
            "schedule": crontab(hour=7, minute=30, day_of_week="mon-fri"),
            "args": ("report",),
            "options": {"queue": "slow"},
        },
    },
)


class Outage(Exception):
    """Raised by a service that is away."""


class Logged(Task):
    def on_success(self, retval, task_id, args, kwargs):
        note(f"on_success {retval}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        note(f"on_failure {exc}")


@app.task
def add(x, y):
    return x + y


@shared_task
def multiply(x, y):
    return x * y


@app.task
def total(numbers):
    return sum(numbers)


@app.task(name="shop.say")
def say_it(word):
    logger.info("saying %s", word)
    return f"said {word}"


@app.task(ignore_result=True)
def note(line):
    with NOTES.open("a") as notes:
        notes.write(f"{line}\n")


@app.task(bind=True)
def render(self, page, *, dpi=72):
    return [self.name, page, dpi, self.request.delivery_info["routing_key"]]


@app.task(bind=True, max_retries=5, default_retry_delay=1)
def charge(self, amount):
    try:
        if self.request.retries < 2:
            raise Outage("bank")
    except Outage as exc:
        raise self.retry(exc=exc, countdown=0.1)
    return f"{amount} charged, retries: {self.request.retries}"


@app.task(bind=True, max_retries=1)
def never(self):
    raise self.retry(exc=Outage("still"), countdown=0.1)


@app.task(
    bind=True,
    autoretry_for=(Outage,),
    retry_backoff=1,
    retry_backoff_max=1,
    retry_jitter=False,
    retry_kwargs={"max_retries": 3},
)
def fetch(self, address):
    if self.request.retries < 2:
        raise Outage(address)
    return f"{address} after {self.request.retries} retries"


@app.task(bind=True)
def upload(self, parts):
    self.update_state(state="PROGRESS", meta={"current": 1, "total": parts})
    until = time.monotonic() + 30
    while not NOTES.with_name("go").exists():
        assert time.monotonic() < until
        time.sleep(0.05)
    return parts


@app.task(base=Logged)
def divide(x, y):
    return x / y


@app.task
def failed(request, exc, traceback):
    note(f"{request.id} failed: {exc!r}")


@app.task(bind=True)
def skip(self):
    self.update_state(state="SKIPPED", meta={"why": "nothing to do"})
    raise Ignore


@app.task
def echo(value):
    return [type(value).__name__, value]


@app.task
def order(number):
    """Send a workflow from inside of a task."""
    chain(add.si(number, 1), say_it.s(), note.s()).delay()
    return number
