"""Calls that must be refused, by mypy and by pyright, on each line marked `# E`."""

from __future__ import annotations

from datetime import datetime, timedelta

from headway import (
    App,
    At,
    Cron,
    Every,
    Job,
    Queue,
    Repeat,
    Retry,
    Schedule,
    Solar,
    Unique,
    chain,
    chord,
    exponential,
    group,
    workflow,
)

app = App(queues=[Queue("high"), Queue("gpu")], tasks="t")
high, gpu = app.queues


@app.task
def add(one: int, other: int = 1) -> int:
    return one + other


@app.task(queue="gpu")
def embed(document: int, *, text: str) -> list[float]:
    return [document / len(text)]


@app.task
async def fetch(url: str) -> bytes:
    return url.encode()


def plain(moment: datetime) -> str:
    return str(moment)


# Arguments, in each way to make a call
add("1")  # E
add()  # E
add(1, 2, 3)  # E
add(1, another=2)  # E
add.enqueue("1")  # E
add.enqueue()  # E
add.enqueue(1, 2, 3)  # E
add.enqueue(1, other="2")  # E
add.enqueue(1, another=2)  # E
add.enqueue(None)  # E
add.message("1")  # E
add.message(1, another=2)  # E
add.using(queue="gpu").enqueue("1")  # E
add.using(queue="gpu").message()  # E
embed.enqueue(1, "a")  # E
embed.enqueue(1)  # E
embed.enqueue(1, text=2)  # E
fetch.enqueue(1)  # E
fetch.enqueue_async(b"u")  # E
high.enqueue(add, "1")  # E
high.enqueue(plain, "2026-01-01")  # E
high.enqueue(plain)  # E
high.enqueue("t.add", 1)  # E
add.enqueue_in(timedelta(1), "1")  # E
add.enqueue_in(timedelta(1))  # E
add.enqueue_in(300, 1)  # E
add.enqueue_in(1)  # E
add.enqueue_in(datetime.now(), 1)  # E
add.enqueue_at("2026-01-01", 1)  # E
add.enqueue_at(timedelta(1), 1)  # E
add.enqueue_at(datetime.now(), 1, another=2)  # E
fetch.enqueue_at(datetime.now(), 1)  # E
high.enqueue_in(timedelta(1), add, "1")  # E
high.enqueue_in(300, add, 1)  # E
high.enqueue_in(add, timedelta(1), 1)  # E
high.enqueue_at(datetime.now(), plain, "2026-01-01")  # E
high.enqueue_at(datetime.now(), plain)  # E
high.enqueue_at(timedelta(1), add, 1)  # E
app.enqueue_many([add])  # E
app.enqueue_many([add.enqueue(1)])  # E

# Results
text: str = add(1)  # E
sent: Job[str] = add.enqueue(1)  # E
value: str = add.enqueue(1).result()  # E
data: bytes = fetch("u")  # E
add.enqueue(1).result(timeout="5")  # E
add.enqueue(1).results()  # E
add.enqueue(1).id = "x"  # E

# Options
add.using(queues="gpu")  # E
add.using(queue=gpu)  # E
add.using(delay=5)  # E
add.using(at="2026-01-01")  # E
add.using(retry=3)  # E
add.using(repeat=3)  # E
add.using(timeout=30)  # E
add.using(unique=7)  # E
add.using(result_ttl=500)  # E
add.using(job_id=7)  # E
add.using("gpu")  # E
app.task(queue=5)  # E
app.task(retries=3)  # E

# Values
Retry(attempts="3")  # E
Retry(5)  # E
Retry(backoff=2)  # E
Repeat(3, 60)  # E
Repeat(3, timedelta(1), True)  # E
Repeat(3)  # E
Retry(on=TimeoutError)  # E
exponential(first=1)  # E
Unique(ttl=60)  # E
Unique(until="never")  # E
Queue("a", timeout=60)  # E
Queue("a", timedelta(1))  # E
Queue("a", device="rocm")  # E
Queue("a", prefetch="1")  # E
App(queues=["high"], tasks="t")  # E
App(queues=[Queue("a")], tasks="t", middleware=[plain])  # E
app.resource(plain)  # E
app.resource(scope="job")  # E
app.middleware(plain)  # E
App(queues=[Queue("a")])  # E
Schedule("a", "0 3 * * *", add.message(1))  # E
Schedule("a", Cron("0 3 * * *"), add)  # E
Every("5m")  # E
Every(minutes=5, jitter=5)  # E
At("2030-01-31")  # E
Solar("sunset", "59.9", 10.7)  # E
Cron("0 3 * * *", zone=1)  # E

# Workflows
add.message(embed.message(1, text="").result)  # E
add.using(on_failure="stop")  # E
add.using(compensate=add)  # E
add.using(after=add.message(1))  # E
chord([add.message(1)], 1)  # E
group(add.message(1), limit="2")  # E
chain(7)  # E
workflow(add)  # E
