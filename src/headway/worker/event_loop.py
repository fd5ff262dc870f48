"""`async def` tasks on one event loop, each with a timeout and a cancellation."""

from __future__ import annotations

import asyncio
import importlib
import threading
from datetime import timedelta
from typing import Any, cast

from headway.delivery import Delivery
from headway.outcome import Failed
from headway.worker.running import Lane, Running


class EventLoop:
    """The loop of a child, in a thread of its own."""

    def __init__(self, lane: Lane, count: int) -> None:
        self._lane = lane
        self._loop = _new_loop()
        self.count = count
        #: Jobs that run on it.
        self.busy = 0

    def start(self) -> None:
        """Start it."""
        threading.Thread(
            target=self._loop.run_forever, name="headway-loop", daemon=True
        ).start()

    def put(self, running: Running) -> None:
        """Begin a job."""
        self.busy += 1
        running.take()  # it begins at once: nobody can give it back
        self._loop.call_soon_threadsafe(self._begin, running)

    def break_off(self, running: Running) -> None:
        """Cancel the task of a job."""
        if running.task is not None:
            self._loop.call_soon_threadsafe(running.task.cancel)

    def _begin(self, running: Running) -> None:
        running.task = self._loop.create_task(self._run(running))

    async def _run(self, running: Running) -> None:
        try:
            if self._lane.begin(running):
                await self._attempted(running)
            # RQ's own code for what is unusual blocks: it must not hold the loop.
            if running.ends_by_rq or running.stopped:
                await asyncio.to_thread(self._lane.settle, running)
            elif running.notes is not None:
                running.notes.close()
        except Exception as error:  # noqa: BLE001 - raised again by the main thread
            running.error = error
        finally:
            self._lane.ended.put(running)

    async def _attempted(self, running: Running) -> None:
        delivery = cast("Delivery", running.delivery)
        seconds = running.seconds
        try:
            async with asyncio.timeout(seconds if seconds > 0 else None):
                running.outcome = await self._lane.attempted_async(running, delivery)
        except TimeoutError:
            elapsed = self._lane.clock.monotonic() - running.began_monotonic
            running.outcome = self._lane.execute.overran(
                delivery, seconds, timedelta(seconds=elapsed)
            )
        except asyncio.CancelledError:
            running.broken_off = running.was_interrupted
            running.stopped = not running.was_interrupted
        except (KeyboardInterrupt, GeneratorExit) as error:  # would end the loop
            running.outcome = Failed(error=error)


def _new_loop() -> asyncio.AbstractEventLoop:
    try:  # much faster, and not there on every system
        uvloop: Any = importlib.import_module("uvloop")
    except ImportError:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return loop
