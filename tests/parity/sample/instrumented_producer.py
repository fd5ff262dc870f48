"""Send with RQ, then with Headway; print what the instruments made of each."""

from __future__ import annotations

import json
import os
from datetime import timedelta

import sentry_sdk
from instrumented_app import HEARD, app
from parity_tasks import calls
from redis import Redis
from rq import Queue

HOUR = timedelta(hours=1)


def heard():
    lines = HEARD.read_text().splitlines() if HEARD.exists() else []
    HEARD.write_text("")
    return sorted(lines)


client = Redis.from_url(os.environ["REDIS_URL"])
queue = Queue("default", connection=client, serializer="json")
with sentry_sdk.start_transaction(name="a request"):
    queue.enqueue(calls.echo, 1, job_id="stock-now")
    queue.enqueue_in(HOUR, calls.echo, 1, job_id="stock-later")
    queue.enqueue_many([Queue.prepare_data(calls.echo, (1,), job_id="stock-many")])
stock = heard()

echo = app.task(calls.echo)
with sentry_sdk.start_transaction(name="a request"):
    echo.using(job_id="ours-now").enqueue(1)
    echo.using(job_id="ours-later", delay=HOUR).enqueue(1)
    app.enqueue_many([echo.using(job_id="ours-many").message(1)])
ours = heard()

echo.using(job_id="first", unique="key").enqueue(1)
again = echo.using(job_id="second", unique="key").enqueue(1)
print(json.dumps({"stock": stock, "ours": ours, "again": again.id}))
