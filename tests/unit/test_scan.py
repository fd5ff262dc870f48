"""What is found of other libraries in code, by sources as people write them."""

from __future__ import annotations

import json
import os
import re
from inspect import signature
from textwrap import dedent
from time import monotonic

import pytest

from headway import (
    App,
    Every,
    Options,
    Queue,
    Repeat,
    Retry,
    exponential,
    fixed,
)
from headway.migrate.scan.rules import VERDICTS, Rules
from headway.migrate.scan.tree import scan

APP = 'app = App(queues=[...], tasks=[...], engine="celery") in queues.py'
RESULT = ".result(timeout=timedelta(milliseconds=...))"
SENT = ".enqueue() of the workflow"
KEPT = "ids of jobs, kept by you; the workflow in the dashboard"
WORK = "chain(...), group(...), chord([...], ...) of messages"
BEAT = "headway schedules import --from celery-beat MODULE, or tasks/schedules.py"

CELERY = {
    "a task that binds itself": (
        """
        from celery import shared_task
        @shared_task(bind=True, max_retries=3)
        def send(self): ...
        """,
        ["3 task maps @app.task; self -> current_job(); Retry(attempts=3 + 1)"],
    ),
    "an application under another name, and its task": (
        """
        import celery as c
        queue = c.Celery("shop", broker="redis://")
        @queue.task(queue="low", ignore_result=True)
        def send(): ...
        """,
        [
            f"3 app maps {APP}; REDIS_URL, or HEADWAY_BROKER_URL=amqp://...",
            "4 task maps @app.task; queue='low'; result_ttl=timedelta(0)",
        ],
    ),
    "an application that a function makes": (
        """
        from celery import Celery
        def make():
            app = Celery()
            return app
        app = make()
        @app.task
        def send(): ...
        """,
        [
            f"4 app maps {APP}",
            "7 task maps @app.task",
        ],
    ),
    "retries by exceptions": (
        """
        from celery import shared_task
        @shared_task(autoretry_for=(OSError,), retry_backoff=2, default_retry_delay=5)
        def send(): ...
        """,
        [
            (
                "3 task maps @app.task; retry=Retry(on=..., never=...); "
                "Retry(backoff=exponential(first=timedelta(seconds=2))); "
                "Retry(backoff=fixed(timedelta(seconds=5)))"
            )
        ],
    ),
    "backoff without a number": (
        """
        from celery import shared_task
        @shared_task(retry_backoff=True)
        def send(): ...
        """,
        [
            (
                "3 task maps @app.task; "
                "Retry(backoff=exponential(maximum=timedelta(minutes=10)))"
            )
        ],
    ),
    "a rate limit": (
        """
        from celery import shared_task
        @shared_task(rate_limit="10/m")
        def send(): ...
        """,
        ["3 task not there @app.task"],
    ),
    "an option that nobody knows": (
        """
        from celery import shared_task
        @shared_task(compression="zlib")
        def send(): ...
        """,
        ["3 task by hand @app.task"],
    ),
    "a decorator that wraps Celery's": (
        """
        from celery import shared_task
        def durable(**options):
            def decorate(function):
                return shared_task(acks_late=True, **options)(function)
            return decorate
        @durable(queue="low")
        def send(): ...
        send.delay(1)
        """,
        [
            "5 task by hand @app.task",
            "7 task maps @app.task; queue='low'",
            "9 enqueue maps send.enqueue(...)",
        ],
    ),
    "calls with and without options": (
        """
        from celery import shared_task
        @shared_task
        def send(to): ...
        send.delay("a")
        send.apply_async(("a",), countdown=60, queue="low", task_id="a-1")
        send.apply_async(("a",), eta=soon, priority=3)
        """,
        [
            "3 task maps @app.task",
            "5 enqueue maps send.enqueue(...)",
            (
                "6 enqueue maps send.using(...).enqueue(...); "
                "delay=timedelta(seconds=60); queue='low'; job_id='a-1'"
            ),
            (
                "7 enqueue by hand send.using(...).enqueue(...); at=soon; "
                'Queue("...") before others in App(queues=[...])'
            ),
        ],
    ),
    "arguments of the task that are spelled like options": (
        """
        from celery import shared_task
        @shared_task
        def send(**options): ...
        send.delay(countdown=5, rate_limit="10/m")
        """,
        ["3 task maps @app.task", "5 enqueue maps send.enqueue(...)"],
    ),
    "a time to live that is a timedelta already": (
        """
        from celery import shared_task
        from datetime import timedelta
        @shared_task
        def send(): ...
        send.apply_async(expires=timedelta(hours=1))
        """,
        [
            "4 task maps @app.task",
            "6 enqueue maps send.using(...).enqueue(...); expires=timedelta(hours=1)",
        ],
    ),
    "a name that is sent": (
        """
        from celery import Celery
        def report(app: Celery):
            app.send_task("shop.tasks.send", args=[1])
        """,
        ["4 enqueue by hand send.enqueue(...)"],
    ),
    "a retry from inside": (
        """
        from celery import shared_task
        @shared_task(bind=True)
        def send(self):
            print(self.request.id)
            raise self.retry(countdown=10)
        """,
        [
            "3 task maps @app.task; self -> current_job()",
            "5 task maps current_job().id, .attempt - 1",
            (
                "6 task by hand raise, with retry=Retry(...) of the task; "
                "an exception with retry_after=10"
            ),
        ],
    ),
    "a class of tasks": (
        """
        from celery import Task
        class Sender(Task):
            def run(self):
                self.update_state(state="HALF")
        """,
        [
            "3 task by hand a function with @app.task",
            "5 task by hand current_job().progress(done, total, note)",
        ],
    ),
    "workflows": (
        """
        from celery import chain, chord, shared_task
        @shared_task
        def add(x): ...
        chain(add.s(1), add.s())
        chord([add.s(1)])(add.si(2))
        """,
        [
            "3 task maps @app.task",
            f"5 workflow by hand {WORK}, as f.message(...)",
            "5 workflow maps add.message(...)",
            f"6 enqueue by hand {SENT}",
            "6 workflow by hand add.message(...)",
            f"6 workflow by hand {WORK}, as f.message(...)",
            "6 workflow maps add.message(...)",
        ],
    ),
    "a chain by bars": (
        """
        from celery import shared_task
        @shared_task
        def add(x): ...
        work = add.s(1) | add.s(2)
        """,
        [
            "3 task maps @app.task",
            f"5 workflow by hand {WORK}, as f.message(...)",
            "5 workflow maps add.message(...)",
        ],
    ),
    "workflows that are sent": (
        """
        from celery import chain, shared_task
        @shared_task
        def add(x): ...
        (add.s(1) | add.s(2)).apply_async(countdown=5)
        chain(add.s(1)).on_error(add.s()).delay()
        add.chunks(numbers, 10).group().apply_async()
        add.s(1).apply_async(countdown=5)
        """,
        [
            "3 task maps @app.task",
            f"5 enqueue by hand {SENT}; f.using(...).message(...)",
            f"5 workflow by hand {WORK}, as f.message(...)",
            "5 workflow maps add.message(...)",
            f"6 enqueue by hand {SENT}",
            "6 workflow by hand chain(...), app.subscribe(function, JobFailed)",
            f"6 workflow by hand {WORK}, as f.message(...)",
            "6 workflow maps add.message(...)",
            f"7 enqueue by hand {SENT}",
            f"7 workflow by hand {WORK}, as f.message(...)",
            "8 enqueue maps add.using(...).enqueue(...); delay=timedelta(seconds=5)",
            "8 workflow maps add.message(...)",
        ],
    ),
    "what a job does not know": (
        """
        from celery import shared_task
        @shared_task(bind=True)
        def add(self, x):
            raise self.replace(add)
        result = add.delay(1)
        result.children
        result.collect()
        result.then(print)
        result.forget()
        """,
        [
            "10 result maps result.delete()",
            "3 task maps @app.task; self -> current_job()",
            "5 task not there chain(...).enqueue() at the end of the task",
            "6 enqueue maps add.enqueue(...)",
            f"7 result not there {KEPT}",
            f"8 result not there {KEPT}",
            f"9 result not there {KEPT}",
        ],
    ),
    "queues that settings name": (
        """
        from celery import Celery
        from kombu import Queue as Q
        app = Celery()
        app.conf.task_default_queue = "celery"
        app.conf.task_routes = ({"a.*": {"queue": "slow"}, "b": "fast", "c": other},)
        app.conf.task_queues = [Q("slow", routing_key="s"), Q(name="old"), "new"]
        app.conf.task_routes = ["shop.router", {"d": {"routing_key": "x"}}]
        """,
        [
            f"4 app maps {APP}",
            "5 setting maps Queue('celery') as the first of App(queues=[...])",
            (
                "6 setting by hand @app.task(queue=\"...\"): Queue('slow'), "
                "Queue('fast')"
            ),
            (
                "7 setting maps App(queues=[...]): Queue('slow'), Queue('old'), "
                "Queue('new')"
            ),
            '8 setting by hand @app.task(queue="..."): ...',
        ],
    ),
    "a result": (
        """
        from celery.result import AsyncResult
        result = AsyncResult(key)
        if result.state == "SUCCESS":
            print(result.get(timeout=5))
        """,
        [
            "3 result maps app.job(key)",
            "4 result by hand result.status",
            "5 result maps result.result(timeout=...)",
        ],
    ),
    "a schedule of beat": (
        """
        from celery import Celery
        from celery.schedules import crontab
        app = Celery()
        app.conf.beat_schedule = {
            "nightly": {"task": "shop.tasks.send", "schedule": crontab(hour=3)},
        }
        """,
        [
            f"4 app maps {APP}",
            f"5 schedule maps {BEAT}",
            '6 schedule maps Cron("* 3 * * *")',
            '6 schedule maps Schedule("...", Cron("..."), send.message())',
        ],
    ),
    "settings of Django": (
        """
        from celery.schedules import crontab
        CELERY_RESULT_EXPIRES = 60
        CELERY_TASK_ALWAYS_EAGER = True
        CELERYBEAT_SCHEDULE = {}
        DEBUG = True
        RESULT_FOLDER = TASK_LIMIT = 5
        """,
        [
            "3 setting maps result_ttl= of each task",
            "4 setting by hand fixture headway_inline",
            f"5 schedule maps {BEAT}",
        ],
    ),
    "settings all at once": (
        """
        from celery import current_app
        current_app.conf.update(task_acks_late=True, timezone="Europe/Oslo")
        current_app.conf.update({"task_soft_time_limit": 5})
        """,
        [
            '3 setting by hand Cron("...", zone=...)',
            "3 setting maps drop it",
            "4 setting by hand Queue(timeout=timedelta(seconds=5))",
        ],
    ),
    "settings of Celery's own": (
        """
        import celery
        broker_url = "redis://"
        """,
        [],
    ),
    "a signal": (
        """
        from celery.signals import worker_process_init
        @worker_process_init.connect
        def open_pool(**kwargs): ...
        """,
        ["3 app by hand @app.on_worker_start, @app.resource"],
    ),
}

RQ = {
    "a queue and what is sent": (
        """
        from rq import Queue
        q = Queue("low", connection=redis)
        q.enqueue(invoice, 7, job_timeout=600, result_ttl=60)
        """,
        [
            "3 app maps Queue('low') in App(queues=[...]), once",
            (
                "4 enqueue maps invoice.enqueue(...); timeout=timedelta(seconds=600); "
                "the same, as timedelta(seconds=60)"
            ),
        ],
    ),
    "a queue that an object holds": (
        """
        from rq import Queue
        class Mailer:
            def __init__(self):
                self.queue = Queue("mail")
            def send(self):
                self.queue.enqueue_in(delay, send)
        """,
        [
            "5 app maps Queue('mail') in App(queues=[...]), once",
            "7 enqueue maps f.enqueue_in(delay, ...)",
        ],
    ),
    "a function by its name, for ever": (
        """
        from rq import Queue
        Queue("low").enqueue("billing.invoice", 7, job_timeout=-1)
        """,
        [
            "3 app maps Queue('low') in App(queues=[...]), once",
            (
                "3 enqueue by hand invoice.enqueue(...); import the function; "
                "timedelta(days=...)"
            ),
        ],
    ),
    "a decorator": (
        """
        from rq.decorators import job
        @job("low", timeout=30)
        def invoice(customer): ...
        invoice.delay(7)
        """,
        [
            "3 task maps @app.task(queue='low'); timeout=timedelta(seconds=30)",
            "5 enqueue maps invoice.enqueue(...)",
        ],
    ),
    "a decorator that is given a part of its options": (
        """
        from functools import partial
        from rq.decorators import job as rq_job
        job = partial(rq_job, connection=redis)
        @job("low")
        def invoice(customer): ...
        """,
        ["5 task maps @app.task(queue='low')"],
    ),
    "a job that is fetched": (
        """
        from rq.job import Job
        job = Job.fetch(key, connection=redis)
        job.meta["done"] = 1
        job.get_status()
        """,
        [
            "3 result maps app.job(key)",
            "4 task by hand current_job().progress(...), .log(...), .checkpoint(...)",
            "5 result maps job.status",
        ],
    ),
    "django_rq": (
        """
        import django_rq
        django_rq.get_queue("high").enqueue(invoice)
        django_rq.enqueue(invoice)
        @django_rq.job("low")
        def invoice(): ...
        RQ_QUEUES = {}
        """,
        [
            "3 enqueue maps invoice.enqueue(...)",
            "4 enqueue maps invoice.enqueue(...)",
            "5 task maps @app.task(queue='low')",
            "7 app maps App(queues=[...]), REDIS_URL",
        ],
    ),
    "dependents, retries and callbacks": (
        """
        from rq import Queue, Retry
        q = Queue()
        q.enqueue(invoice, depends_on=first, retry=Retry(max=3), on_success=told)
        """,
        [
            "3 app maps Queue(...) in App(queues=[...]), once",
            (
                "4 enqueue by hand invoice.enqueue(...); "
                "chain(...), group(...), chord(...); "
                "app.subscribe(function, JobSucceeded, JobFailed)"
            ),
            "4 enqueue maps retry=Retry(...); Retry(attempts=3 + 1)",
        ],
    ),
    "times as RQ writes them": (
        """
        from rq import Queue, Retry
        Queue("low", default_timeout="2M").enqueue(f, job_timeout="1h", ttl="later")
        Retry(max=2, interval=5)
        Retry(max=2, interval=[5, 60])
        """,
        [
            (
                "3 app maps Queue('low') in App(queues=[...]), once; "
                "Queue(timeout=timedelta(minutes=2))"
            ),
            (
                "3 enqueue maps f.enqueue(...); timeout=timedelta(hours=1); "
                "expires=timedelta(seconds='later')"
            ),
            (
                "4 enqueue maps retry=Retry(...); Retry(attempts=2 + 1); "
                "Retry(backoff=fixed(timedelta(seconds=5)))"
            ),
            (
                "5 enqueue by hand retry=Retry(...); Retry(attempts=2 + 1); "
                "Retry(backoff=exponential(...))"
            ),
        ],
    ),
    "rq-scheduler": (
        """
        from rq_scheduler import Scheduler
        """,
        ["2 schedule maps from headway.shims.rq_scheduler import Scheduler"],
    ),
    "rq cron": (
        """
        from rq import cron
        cron.register(sweep, "low", interval=60)
        """,
        [
            (
                "3 schedule maps headway schedules import --from rq-cron FILE, or "
                'Schedule("...", Cron("..."), sweep.message())'
            )
        ],
    ),
}

RETRIES = (
    "retry=Retry(attempts=21, backoff=exponential(first=timedelta(seconds=15), "
    "maximum=timedelta(days=7)))"
)

DRAMATIQ = {
    "an actor that says nothing": (
        """
        import dramatiq
        @dramatiq.actor
        def send(to): ...
        send.send(7)
        """,
        [
            f"3 task maps @app.task; {RETRIES}",
            "5 enqueue maps send.enqueue(...)",
        ],
    ),
    "an actor that says much": (
        """
        from dramatiq import actor
        @actor(queue_name="low", max_retries=0, time_limit=5000, priority=1)
        def send(to): ...
        """,
        [
            (
                "3 task by hand @app.task; queue='low'; timeout=timedelta(milliseconds="
                '5000); Queue("...") before others in App(queues=[...])'
            )
        ],
    ),
    "options of a call": (
        """
        import dramatiq
        @dramatiq.actor(max_retries=2)
        def send(to): ...
        send.send_with_options(args=(7,), delay=1000)
        """,
        [
            "3 task maps @app.task; retry=Retry(attempts=2 + 1)",
            (
                "5 enqueue maps send.using(...).enqueue(...); "
                "delay=timedelta(milliseconds=1000)"
            ),
        ],
    ),
    "a group and a pipeline": (
        """
        import dramatiq
        @dramatiq.actor(max_retries=0)
        def send(to): ...
        dramatiq.group([send.message(1)]).run()
        work = send.message(1) | send.message()
        """,
        [
            "3 task maps @app.task",
            f"5 enqueue maps {SENT}",
            f"5 workflow by hand {WORK}",
            "5 workflow maps send.message(...)",
            f"6 workflow by hand {WORK}",
            "6 workflow maps send.message(...)",
        ],
    ),
    "a pipeline that is run, and what it returns": (
        """
        import dramatiq
        from periodiq import cron
        @dramatiq.actor(max_retries=0)
        def send(to): ...
        (send.message(1) | send.message()).run().get_result()
        dramatiq.get_broker().enqueue(message, delay=5)
        """,
        [
            '3 schedule by hand Schedule("...", Cron("..."), f.message())',
            "4 task maps @app.task",
            f"6 enqueue maps {SENT}",
            f"6 result maps {RESULT} of the workflow",
            f"6 workflow by hand {WORK}",
            "6 workflow maps send.message(...)",
            (
                "7 enqueue by hand app.enqueue_many([message]); "
                "f.using(delay=timedelta(milliseconds=5)).message(...)"
            ),
        ],
    ),
    "brokers and middleware": (
        """
        import dramatiq
        from dramatiq.brokers.redis import RedisBroker
        class Told(dramatiq.Middleware): ...
        broker = RedisBroker()
        broker.add_middleware(Told())
        """,
        [
            "4 app by hand @app.middleware, app.subscribe",
            (
                '5 app maps app = App(queues=[...], tasks=[...], engine="dramatiq") in '
                "queues.py"
            ),
            "6 app by hand @app.middleware, app.subscribe",
        ],
    ),
    "a limit": (
        """
        from dramatiq.rate_limits import ConcurrentRateLimiter
        limit = ConcurrentRateLimiter(backend, "key", limit=1)
        """,
        ["3 app not there "],
    ),
}

WORKER = (
    "app = App(queues=[...], tasks=[...]), and headway worker; "
    "@app.task on each, schedules = [...] in tasks/schedules.py; "
)

ARQ = {
    "a worker and its functions": (
        """
        from arq import cron
        async def send(ctx, to):
            print(ctx["job_try"], ctx["db"])
        async def other(ctx): ...
        class WorkerSettings:
            functions = [send]
            cron_jobs = [cron(send, hour=3)]
            max_jobs = 20
        """,
        [
            "3 task maps @app.task, without ctx",
            "4 task by hand an argument, Annotated[Pool, pool] = injected",
            "4 task maps current_job().id, .attempt",
            (
                f"6 app maps {WORKER}headway worker --concurrency 20; "
                "Queue(timeout=timedelta(seconds=...))"
            ),
            '8 schedule maps Schedule("send", Cron("* 3 * * *"), send.message())',
        ],
    ),
    "a pool": (
        """
        from arq import create_pool
        async def main():
            redis = await create_pool()
            job = await redis.enqueue_job("send", 7, _job_id="a", _defer_by=5)
            await job.result(timeout=5)
            await redis.enqueue_job("send", timeout=5, queue="x")
        """,
        [
            "4 app maps REDIS_URL",
            (
                "5 enqueue maps await send.enqueue_async(...); job_id='a'; "
                "delay=timedelta(seconds=5)"
            ),
            "6 result maps job.result_async(timeout=...)",
            "7 enqueue maps await send.enqueue_async(...)",
        ],
    ),
    "what is called on brackets": (
        """
        from arq import ArqRedis
        async def main(redis: ArqRedis):
            await (await redis.enqueue_job("send", _expires=60)).status()
        """,
        [
            (
                "4 enqueue maps await send.enqueue_async(...); "
                "expires=timedelta(seconds=60)"
            ),
            ("4 result maps (await redis.enqueue_job('send', _expires=60)).status"),
        ],
    ),
    "a try that is not the first": (
        """
        from arq import ArqRedis
        async def main(redis: ArqRedis):
            await redis.enqueue_job("send", _job_try=3, _expires=60)
        """,
        [
            (
                "4 enqueue not there await send.enqueue_async(...); "
                "expires=timedelta(seconds=60)"
            )
        ],
    ),
    "a pool that is an argument": (
        """
        from arq.connections import ArqRedis
        async def main(redis: ArqRedis | None):
            await redis.enqueue_job("send", _expires=60)
        """,
        ["4 enqueue maps await send.enqueue_async(...); expires=timedelta(seconds=60)"],
    ),
    "days of the week": (
        """
        from arq import cron
        jobs = [cron(sweep, weekday=0, hour=3)]
        """,
        [
            (
                '3 schedule by hand Schedule("sweep", Cron("..."), sweep.message()); '
                "mind the day of the week"
            )
        ],
    ),
    "a retry": (
        """
        from arq import Retry
        async def send(ctx):
            raise Retry(defer=5)
        """,
        ["4 task by hand an exception with retry_after, and retry=Retry(attempts=5)"],
    ),
}

HUEY = {
    "a task, and a plain call that sends it": (
        """
        from huey import RedisHuey
        huey = RedisHuey("shop")
        @huey.task(retries=2, retry_delay=10)
        def send(to): ...
        result = send(7)
        result(blocking=True)
        send.call_local(7)
        """,
        [
            "3 app maps app = App(queues=[...], tasks=[...]) in queues.py",
            (
                "4 task maps @app.task; retry=Retry(attempts=2 + 1); "
                "Retry(backoff=fixed(timedelta(seconds=10)))"
            ),
            "6 enqueue maps send.enqueue(...)",
            "7 result maps job.result(timeout=...)",
            "8 enqueue maps send(...)",
        ],
    ),
    "a task that is sent for later": (
        """
        from huey import SqliteHuey
        huey = SqliteHuey()
        @huey.task()
        def send(to): ...
        send.schedule(args=(7,), delay=60)
        """,
        [
            "3 app by hand app = App(queues=[...], tasks=[...]), and REDIS_URL",
            "4 task maps @app.task",
            "6 enqueue maps send.enqueue_in(...), send.enqueue_at(...); 60",
        ],
    ),
    "a task for each": (
        """
        from huey import RedisHuey
        huey = RedisHuey()
        @huey.task()
        def send(to): ...
        send.map([1, 2]).get(blocking=True)
        """,
        [
            "3 app maps app = App(queues=[...], tasks=[...]) in queues.py",
            "4 task maps @app.task",
            "6 result maps job.result(timeout=...)",
            "6 workflow maps send.map([...]).enqueue()",
        ],
    ),
    "Django's, by the clock": (
        """
        from huey import crontab
        from huey.contrib.djhuey import db_periodic_task, lock_task
        @db_periodic_task(crontab(minute="0"))
        @lock_task("sweep")
        def sweep(): ...
        """,
        [
            '4 schedule maps @app.task, and Schedule("...", Cron("..."), f.message())',
            "5 app by hand unique='sweep'",
        ],
    ),
    "what one thing is followed by": (
        """
        from huey import RedisHuey
        huey = RedisHuey()
        @huey.task()
        def send(to): ...
        huey.enqueue(send.s(1).then(send, 2))
        """,
        [
            "3 app maps app = App(queues=[...], tasks=[...]) in queues.py",
            "4 task maps @app.task",
            "6 enqueue maps app.enqueue_many([...]) of messages",
            "6 workflow by hand chain(...), group(...), chord(...) of messages",
            "6 workflow maps send.message(...)",
        ],
    ),
}

CASES = [
    pytest.param(source, wanted, id=f"{library}: {name}")
    for library, cases in (
        ("celery", CELERY),
        ("rq", RQ),
        ("dramatiq", DRAMATIQ),
        ("arq", ARQ),
        ("huey", HUEY),
    )
    for name, (source, wanted) in cases.items()
]


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text))
    return folder


def told(findings):
    return sorted({f"{f.line} {f.kind} {f.verdict} {f.instead}" for f in findings})


@pytest.mark.parametrize(("source", "wanted"), CASES)
def test_each_place_is_told_with_what_to_write_instead(source, wanted, tmp_path):
    report = scan(write(tmp_path, {"shop.py": source}))
    assert told(report.findings) == wanted
    assert all(each.certain for each in report.findings)


def test_a_difference_under_the_same_word_is_said(tmp_path):
    source = "import dramatiq\n@dramatiq.actor\ndef send(): ...\n"
    (finding,) = scan(write(tmp_path, {"shop.py": source})).findings
    assert finding.why == (
        "Dramatiq retries 20 times unless told otherwise, Headway never",
        (
            "Dramatiq's limit is 10 minutes unless told otherwise, here it is 3, or "
            "what Queue(timeout=) says"
        ),
    )


@pytest.mark.parametrize(
    "line",
    [
        "from shop.tasks import send",
        "from .tasks import send",
        "from . import send",
        "from shop import send",
        "import shop.tasks\nsend = shop.tasks.send",
        "from . import tasks\nsend = tasks.send",
    ],
)
def test_a_task_is_known_where_it_is_imported(line, tmp_path):
    files = {
        "src/shop/__init__.py": "from .tasks import send\n",
        "src/shop/celery.py": "from celery import Celery\napp = Celery()\n",
        "src/shop/tasks.py": "from .celery import app\n@app.task\ndef send(): ...\n",
        "src/shop/views.py": f"{line}\ndef view(): send.delay()\n",
    }
    found = scan(write(tmp_path, files)).findings
    (call,) = [each for each in found if each.path.endswith("views.py")]
    assert (call.instead, call.certain) == ("send.enqueue(...)", True)


def test_a_task_is_known_where_all_names_are_imported(tmp_path):
    files = {
        "shop/__init__.py": "from .tasks import *\nfrom .views import *\n",
        "shop/tasks.py": "from celery import shared_task\n"
        "from . import *\n@shared_task\ndef send(): ...\n",
        "shop/views.py": "from shop import *\ndef view(): send.delay().get(); no()\n",
    }
    found = scan(write(tmp_path, files)).findings
    calls = [each for each in found if each.path.endswith("views.py")]
    assert [each.instead for each in calls] == [
        "send.enqueue(...)",
        "send.delay().result(timeout=...)",
    ]
    assert all(each.certain for each in calls)


@pytest.mark.parametrize(
    ("call", "line"),
    [
        ("crontab(minute=0, hour='*/3')", "0 */3 * * *"),
        ("crontab(30, 7, day_of_week='mon-fri')", "30 7 * * mon-fri"),
        ("crontab(minute=[0, 15], hour={12, 9})", "0,15 9,12 * * *"),
        ("crontab()", "* * * * *"),
        ("crontab(0, 0, 1)", "..."),
        ("crontab(MINUTE)", "..."),
        ("crontab(minute=f())", "..."),
        ("crontab(minute={[]})", "..."),
        ("crontab(minute=1.5)", "..."),
        ("crontab(**when)", "..."),
        ("crontab(day_of_month=1, day_of_week=1)", "..."),
        ("cron(send, hour={9, 12}, minute=5)", "5 9,12 * * *"),
        ("cron(send, day=1, month=None, minute=0, hour=0, second=0)", "0 0 1 * *"),
        ("cron(send, weekday='mon', unique=False)", "..."),
        ("cron(send, second={0, 30})", "..."),
        ("cron(send, **when)", "..."),
    ],
)
def test_a_line_of_cron_is_written_out_where_it_can_be(call, line, tmp_path):
    source = f"from celery.schedules import crontab\nfrom arq import cron\n{call}\n"
    (finding,) = scan(write(tmp_path, {"shop.py": source})).findings
    assert f'Cron("{line}")' in finding.instead


def test_a_setting_is_shown_with_its_name(tmp_path):
    source = """\
    from celery import current_app
    current_app.conf.update(enable_utc=True)
    current_app.conf.update({"task_time_limit": 20})
    """
    found = scan(write(tmp_path, {"shop.py": source})).findings
    assert [each.found for each in found] == ["enable_utc=True", "task_time_limit=20"]


def test_a_module_of_settings_is_known_by_its_name(tmp_path):
    write(tmp_path, {"shop/celeryconfig.py": "import celery\nbroker_url = 'redis:'\n"})
    assert told(scan(tmp_path).findings) == [
        "2 setting maps REDIS_URL, or HEADWAY_BROKER_URL=amqp://..."
    ]


def test_of_two_modules_of_a_name_the_nearer_is_meant(tmp_path):
    tasks = "import dramatiq\n@dramatiq.actor(max_retries=0)\ndef send(): ...\n"
    files = {
        "a/tasks.py": "def send(): ...\n",
        "b/tasks.py": tasks,
        "a/views.py": "from tasks import send\nsend.send(1)\n",
        "b/views.py": "from tasks import send\nsend.send(1)\n",
    }
    found = scan(write(tmp_path, files)).findings
    assert [each.path for each in found if each.kind == "enqueue"] == [
        str(tmp_path / "b/views.py")
    ]


def test_a_module_that_is_called_as_a_library_is_not_taken_for_it(tmp_path):
    files = {
        "celery/app.py": "from celery import Celery\nfrom . import own\nown.start()\n",
        "celery/own.py": "import celery\ndef start(): ...\n",
    }
    assert scan(write(tmp_path, files)).findings == []


def test_what_is_known_by_its_name_alone_is_told_so(tmp_path):
    source = "from celery import Celery\ndef view(task): task.delay(1)\n"
    (finding,) = scan(write(tmp_path, {"shop.py": source})).findings
    assert (finding.instead, finding.certain) == ("task.enqueue(...)", False)


@pytest.mark.parametrize(
    "source",
    [
        "animation.delay(5)\ntimer.enqueue(f)\n",
        "import threading\nthreading.Timer(5, f).delay(1)\n",
        "import rq\nsocket.send(b'celery')\npool.apply_async(f)\n",
    ],
)
def test_words_that_mean_something_else_are_left_alone(source, tmp_path):
    assert scan(write(tmp_path, {"shop.py": source})).findings == []


UNREADABLE = {
    "a mistake": (b"import celery\ndef (:\n", "line 2"),
    "python 2": (b"import celery\nprint 'sent'\n", "Missing parentheses"),
    "not utf-8": (b"import celery\nname = '\xe5'\n", "utf-8"),
    "null bytes": (b"import celery\n\0\n", "null byte"),
    "too deep": (b"import celery\nx = " + b"(" * 500 + b"\n", "parenthes"),
}


@pytest.mark.parametrize(("text", "why"), UNREADABLE.values(), ids=UNREADABLE)
def test_what_cannot_be_read_is_told_and_the_rest_goes_on(text, why, tmp_path):
    write(tmp_path, {"good.py": "from rq import Queue\nQueue('low')\n"})
    (tmp_path / "bad.py").write_bytes(text)
    report = scan(tmp_path)
    assert len(report.findings) == 1
    assert list(report.unread) == [str(tmp_path / "bad.py")]
    assert why in report.unread[str(tmp_path / "bad.py")]


def test_a_file_that_says_its_encoding_is_read(tmp_path):
    text = "# coding: latin-1\nfrom rq import Queue\nQueue('\xe5')\n"
    (tmp_path / "shop.py").write_bytes(text.encode("latin-1"))
    (finding,) = scan(tmp_path).findings
    assert finding.instead == "Queue('\xe5') in App(queues=[...]), once"


def test_what_cannot_be_read_and_names_no_library_is_passed_over(tmp_path):
    assert scan(write(tmp_path, {"bad.py": "def (:\n"})).unread == {}


def test_links_that_go_round_end(tmp_path):
    write(tmp_path, {"shop/tasks.py": "from rq import Queue\nQueue('low')\n"})
    (tmp_path / "shop/again").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "shop/same.py").symlink_to(tmp_path / "shop/tasks.py")
    assert len(scan(tmp_path).findings) == 1


def test_names_that_are_made_of_themselves_end(tmp_path):
    files = {
        "a.py": "from rq import Queue\nfrom b import q\nq = q\nq.enqueue(f)\n",
        "b.py": "import rq\nfrom a import q\nclass A(A): ...\nx = x.y = x\nx.y.z()\n",
    }
    report = scan(write(tmp_path, files))
    assert [each.certain for each in report.findings] == [False]


def test_what_others_have_installed_is_not_read(tmp_path):
    source = "from rq import Queue\nQueue('low')\n"
    files = {f"{folder}/x.py": source for folder in ("env/lib", "node_modules", ".tox")}
    write(tmp_path, files | {"env/pyvenv.cfg": ""})
    assert scan(tmp_path).files == 0


def test_a_file_by_itself_is_read(tmp_path):
    write(tmp_path, {"shop.py": "from rq import Queue\nQueue('low')\n"})
    assert len(scan(tmp_path / "shop.py").findings) == 1


def test_a_big_tree_takes_seconds(tmp_path):
    other = "def f(x):\n    return x\n" * 20
    files = {f"p{i % 50}/m{i}.py": other for i in range(3000)}
    write(tmp_path, files | {"a.py": "import rq\nrq.Queue('a')\n"})
    begun = monotonic()
    report = scan(tmp_path)
    assert (report.files, len(report.findings)) == (3001, 1)
    assert monotonic() - begun < 20


def test_a_pipe_is_not_waited_for(tmp_path):
    write(tmp_path, {"a.py": "from rq import Queue\nQueue('low')\n"})
    os.mkfifo(tmp_path / "pipe.py")
    assert len(scan(tmp_path).findings) == 1


MADE = {
    "App": App,
    "Every": Every,
    "Queue": Queue,
    "Repeat": Repeat,
    "Retry": Retry,
    "exponential": exponential,
    "fixed": fixed,
}
RULES = Rules()
ROWS = [*RULES._exact.items(), *((p.pattern, rule) for p, rule in RULES._patterns)]


@pytest.mark.parametrize(("key", "rule"), ROWS, ids=[key for key, _ in ROWS])
def test_each_rule_has_a_verdict_and_what_it_tells_to_write_is_there(key, rule):
    assert rule.verdict in VERDICTS
    assert rule.instead or rule.why or rule.verdict == "maps"
    for name, words in re.findall(r"\b(\w+)\(([^()]*)", rule.instead):
        if name in MADE:
            assert {*re.findall(r"(\w+)=", words)} <= {
                *signature(MADE[name]).parameters
            }
    for name in re.findall(r"@app\.(\w+)", rule.instead):
        assert hasattr(App, name)


@pytest.mark.parametrize(("key", "rule"), ROWS, ids=[key for key, _ in ROWS])
def test_an_option_becomes_one_of_ours_or_says_where_it_goes(key, rule):
    for name in re.findall(r"^(\w+)=", rule.instead):
        assert name in Options.__annotations__


def test_the_command_tells_places_sums_and_the_line_to_begin_with(command, tmp_path):
    source = """\
    from celery import shared_task
    @shared_task(queue="low")
    def send(): ...
    send.delay()
    send.delay()
    """
    write(tmp_path, {"shop/tasks.py": source})
    done = command("headway", "migrate", "scan", ".")
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0] == (
        "shop/tasks.py:2  task      maps      @shared_task(queue='low') -> @app.task; "
        "queue='low'"
    )
    assert done.stdout.count("it must bear that") == 1
    assert "all      3     0        0" in lines
    assert "celery: 3 of 3 run unchanged through" in done.stdout
    assert lines[-1] == (
        'begin with queues.py: app = App(queues=[Queue("default"), Queue("low")], '
        'tasks=["shop.tasks"], engine="celery")'
    )


def test_the_line_to_begin_with_has_the_queues_that_settings_name(command, tmp_path):
    source = """\
    from celery import current_app
    current_app.conf.task_routes = {"shop.*": {"queue": "slow"}}
    current_app.conf.task_default_queue = "celery"
    """
    write(tmp_path, {"shop.py": source})
    done = command("headway", "migrate", "scan", ".")
    assert 'App(queues=[Queue("celery"), Queue("slow")]' in done.stdout


def test_the_command_tells_programs_all_of_it(command, tmp_path):
    write(tmp_path, {"a.py": "from rq import Queue\nQueue('low')\n", "b.py": "rq = ("})
    done = command("headway", "migrate", "scan", ".", "--json")
    report = json.loads(done.stdout)
    assert report["files"] == 2
    assert report["findings"][0]["instead"] == "Queue('low') in App(queues=[...]), once"
    assert "never closed" in report["unread"]["b.py"]


def test_the_command_says_when_there_is_nothing(command):
    done = command("headway", "migrate", "scan", ".")
    assert (done.returncode, done.stdout) == (0, "places: 0; files of Python: 0\n")


def test_a_folder_that_is_not_there_is_refused(command):
    done = command("headway", "migrate", "scan", "nowhere")
    assert done.returncode == 2
    assert "'nowhere' does not exist" in done.stderr


def test_terminals_are_sent_nothing_that_moves_their_cursor(command, tmp_path):
    write(tmp_path, {"a.py": "from rq import Queue\nQueue('\x1b[2J')\n"})
    assert "\x1b" not in command("headway", "migrate", "scan", ".").stdout
