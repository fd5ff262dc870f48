"""Uses the shop as an application would, and prints what comes of it."""

import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import shop
from celery import chain, chord, group, signature
from celery.result import AsyncResult
from shop import NOTES, add, app, divide, multiply, note, say_it, total

NOTES.touch()
SECONDS = 30


def until(holds):
    end = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def noted(line):
    until(lambda: line in NOTES.read_text().splitlines())
    return line


def outcome(result):
    try:
        return result.get(timeout=SECONDS)
    except Exception as error:
        until(result.ready)
        return f"{result.state}: {type(error).__name__}: {error}"


print("delay:", add.delay(2, 3).get(timeout=SECONDS))
print("apply_async:", add.apply_async((2,), {"y": 5}).get(timeout=SECONDS))
print("named:", say_it.name, app.send_task("shop.say", ("hi",)).get(timeout=SECONDS))

began = time.monotonic()
print("countdown:", add.apply_async((1, 1), countdown=1).get(timeout=SECONDS))
print("waited:", time.monotonic() - began >= 1)
eta = datetime.now(UTC) + timedelta(seconds=1)
print("eta:", add.apply_async((1, 2), eta=eta).get(timeout=SECONDS))

result = add.apply_async((4, 4), task_id="mine-1")
print("task_id:", result.id, AsyncResult("mine-1").get(timeout=SECONDS), result.state)
print("route:", shop.render.delay("cover", dpi=300).get(timeout=SECONDS))
print("queue:", shop.render.apply_async(("back",), queue="celery").get(timeout=SECONDS))

print("retry:", outcome(shop.charge.delay(7)))
print("too many retries:", outcome(shop.never.delay()))
print("autoretry_for:", outcome(shop.fetch.delay("example.com")))
print("error:", outcome(divide.delay(1, 0)), "|", noted("on_failure division by zero"))
print("hooks:", divide.delay(3, 2).get(timeout=SECONDS), "|", noted("on_success 1.5"))

result = shop.upload.delay(3)
until(lambda: result.state == "PROGRESS")
print("update_state:", result.info)
NOTES.with_name("go").touch()
print("then:", result.get(timeout=SECONDS), result.state)
result = shop.skip.delay()
until(lambda: result.state == "SKIPPED")
print("ignored:", result.info)

add.apply_async((1, 2), link=note.s())
print("link:", noted("3"))
result = divide.apply_async((1, 0), link_error=shop.failed.s())
result.get(timeout=SECONDS, propagate=False)
line = noted(f"{result.id} failed: {result.result!r}")
print("link_error:", line.replace(result.id, "it"))

print("chain:", (add.s(2, 2) | multiply.s(8) | say_it.s()).delay().get(timeout=SECONDS))
result = chain(add.s(1, 1), say_it.si("again"))()
print("immutable:", result.get(timeout=SECONDS), result.parent.get(timeout=SECONDS))
print("group:", group(add.s(i, i) for i in range(5))().get(timeout=SECONDS))
print(
    "chord:", chord((add.s(i, i) for i in range(10)), total.s())().get(timeout=SECONDS)
)
nested = (
    group(add.s(1, 2), chain(add.s(3, 4), multiply.s(10))) | total.s() | multiply.s(2)
)
print("nested:", nested.delay().get(timeout=SECONDS))
print(
    "fan out:",
    (add.s(1, 1) | group(multiply.s(i) for i in range(3))).delay().get(timeout=SECONDS),
)
print("broken chain:", outcome((divide.s(1, 0) | say_it.s()).delay()))
print("map:", total.map([[1, 2], [3]]).delay().get(timeout=SECONDS))
print("starmap:", add.starmap([(1, 2), (3, 4)]).delay().get(timeout=SECONDS))
print("chunks:", add.chunks(zip(range(4), range(4)), 2).delay().get(timeout=SECONDS))
print("partial:", add.s(10).delay(5).get(timeout=SECONDS))
print("set:", add.s(1, 2).set(countdown=0.1, queue="slow").delay().get(timeout=SECONDS))
print("as JSON:", signature(dict(add.s(20, 2))).delay().get(timeout=SECONDS))
shop.order.delay(41)
print("from a task:", noted("said 42"))

print(
    "types:",
    *[
        shop.echo.delay(v).get(timeout=SECONDS)
        for v in (None, 1.5, "é", [1, (2,)], {"a": 1})
    ],
)
print("decimal:", shop.echo.delay(Decimal("1.10")).get(timeout=SECONDS))
print("datetime:", shop.echo.delay(datetime(2030, 1, 31, 9)).get(timeout=SECONDS))
try:
    add.delay(1)
except TypeError as error:
    print("arguments:", type(error).__name__)
print("beat:", noted("beat"))
until(lambda: NOTES.read_text().splitlines().count("beat") > 2)
print("again:", noted("beat"))

app.conf.task_always_eager = True
print("eager:", add.delay(1, 2).result, (add.s(1, 1) | multiply.s(5)).delay().get())
print("eager chord:", chord([add.s(1, 1), add.s(2, 2)], total.s()).delay().get())
print("eager retry:", shop.charge.delay(9).get())
