"""An application as Celery's documentation writes one; only its imports are ours."""

import os
import time
from pathlib import Path

from headway.shims.celery import Celery, Task, current_task, shared_task
from headway.shims.celery.exceptions import Ignore, Reject, SoftTimeLimitExceeded
from headway.shims.celery.result import allow_join_result
from headway.shims.celery.schedules import crontab
from headway.shims.celery.utils.log import get_task_logger

logger = get_task_logger(__name__)

app = Celery("sample_celery")
app.conf.task_queues = ["high", "default", "low"]
app.conf.task_default_queue = "default"
app.conf.task_routes = {"sample_celery.routed*": {"queue": "low"}}
app.conf.beat_schedule = {
    "hourly": {"task": "sample_celery.add", "schedule": 3600.0, "args": (1, 2)},
    "nightly": {
        "task": "sample_celery.routed",
        "schedule": crontab(hour=3, minute=0),
        "options": {"queue": "high", "expires": 60},
    },
}


class Router:
    def route_for_task(self, name, args=None, kwargs=None, **options):
        return "high"


router = Router()


def say(line):
    with Path(os.environ["SAMPLE_LOG"]).open("a") as log:
        log.write(f"{line}\n")


class Outage(Exception):
    pass


class Hooks(Task):
    def before_start(self, task_id, args, kwargs):
        say(f"before:{args[0]}")

    def on_success(self, retval, task_id, args, kwargs):
        say(f"success:{retval}")

    def on_retry(self, exc, task_id, args, kwargs, einfo):
        say(f"retry:{type(exc).__name__}")

    def on_failure(self, exc, task_id, args, kwargs, einfo):
        say(f"failure:{type(exc).__name__}:{'Traceback' in str(einfo)}")

    def after_return(self, status, retval, task_id, args, kwargs, einfo):
        say(f"after:{status}")


@app.task
def add(x, y=0):
    return x + y


@shared_task
def multiply(x, y):
    return x * y


@app.task
def total(numbers):
    return sum(numbers)


@app.task
def fail(text="on purpose"):
    raise Outage(text, 7)


@app.task
def write(*words):
    say("-".join(map(str, words)))


@app.task(name="other.name")
def named():
    return current_task.name


@app.task
def routed():
    return current_task.request.delivery_info["routing_key"]


@app.task(bind=True, queue="high")
def urgent(self):
    return self.request.delivery_info["routing_key"]


@app.task(bind=True, base=Hooks, max_retries=2)
def hooked(self, times):
    if self.request.retries < times:
        raise self.retry(exc=Outage("again"), countdown=1)
    return times


@app.task(bind=True, max_retries=3, default_retry_delay=60)
def retry_plain(self, needed, countdown=None, max_retries=None):
    if self.request.retries < needed:
        raise self.retry(countdown=countdown, max_retries=max_retries)
    return self.request.retries


@app.task(bind=True, max_retries=None)
def retry_for_ever(self, needed):
    if self.request.retries < needed:
        self.retry(exc=Outage("away"), countdown=1)
    return self.request.retries


@app.task(
    bind=True,
    autoretry_for=(Outage,),
    dont_autoretry_for=(KeyError,),
    retry_kwargs={"max_retries": 2},
    retry_backoff=4,
    retry_jitter=False,
)
def auto(self, error="Outage"):
    say(f"retries:{self.request.retries}")
    raise {"Outage": Outage, "KeyError": KeyError}[error](error)


@app.task(bind=True)
def retry_elsewhere(self):
    self.retry(queue="low")


@app.task(bind=True)
def request(self, *args, **kwargs):
    call = self.request
    return {
        "id": call.id,
        "args": call.args,
        "kwargs": call.kwargs,
        "retries": call.retries,
        "headers": call.headers,
        "root_id": call.root_id,
        "parent_id": call.parent_id,
        "called_directly": call.called_directly,
        "is_eager": call.is_eager,
    }


@app.task(bind=True)
def sender(self):
    return request.delay().id


@app.task(bind=True)
def waits(self):
    return add.delay(1, 2).get()


@app.task(bind=True)
def progress(self):
    self.update_state(state="PROGRESS", meta={"current": 1, "total": 4})
    until = time.monotonic() + 20
    while not Path(os.environ["SAMPLE_LOG"]).read_text().count("go"):
        assert time.monotonic() < until
        time.sleep(0.01)


@app.task(bind=True)
def skip(self):
    self.update_state(state="SKIPPED", meta="nothing to do")
    raise Ignore


@app.task(bind=True)
def retry_at(self, eta):
    if self.request.retries < 1:
        self.retry(eta=eta)
    return self.request.retries


@app.task(bind=True)
def put_back(self):
    if self.request.retries < 1:
        raise Reject("later", requeue=True)
    return self.request.retries


@app.task(bind=True)
def no_throw(self):
    self.retry(throw=False)


class Odd(Exception):
    def __init__(self, *, text):
        super().__init__(text)


class Unsent(Exception):
    def __str__(self):
        return "no form in JSON"


@app.task
def fail_oddly(kind):
    raise Odd(text="away") if kind == "Odd" else Unsent({1})


@app.task
def returns_set():
    return {1}


@app.task
def breaks(request, exc, traceback):
    raise ValueError


@app.task
def write_any(*about):
    say(len(about))


@app.task
def waits_all_the_same():
    with allow_join_result():
        return add.delay(1, 2).get()


@app.task
def reject():
    raise Reject("broken", requeue=False)


@app.task(soft_time_limit=1)
def slow():
    try:
        time.sleep(20)
    except SoftTimeLimitExceeded:
        return "cleaned up"


@app.task(time_limit=1)
def too_slow():
    time.sleep(20)


@app.task(ignore_result=True)
def silent():
    say("silent")


@app.task
def echo(value):
    return [type(value).__name__, value]


@app.task
def on_error(request, exc, traceback):
    say(f"{request.id}:{type(exc).__name__}")


@app.task
def on_error_by_id(task_id):
    say(f"by-id:{task_id}")


class Adder(Task):
    name = "sample_celery.adder"

    def run(self, x, y):
        return x + y


adder = app.register_task(Adder())
