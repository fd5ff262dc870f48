"""Plain tasks in threads, each with a timeout that is raised into its thread."""

from __future__ import annotations

import ctypes
import threading
from queue import Empty, SimpleQueue

from rq.timeouts import JobTimeoutException

from headway.errors import Interrupted
from headway.outcome import Failed
from headway.worker.ending import Stopped
from headway.worker.running import Lane, Running


class Threads:
    """The threads of a child that run jobs, and what waits for one."""

    def __init__(self, lane: Lane, count: int) -> None:
        self._lane = lane
        self._waiting: SimpleQueue[Running] = SimpleQueue()
        self.count = count
        #: Jobs that run in a thread or wait for one.
        self.busy = 0

    def start(self) -> None:
        """Start them."""
        for number in range(self.count):
            name = f"headway-lane-{number}"
            threading.Thread(target=self._run, name=name, daemon=True).start()

    def put(self, running: Running) -> None:
        """Have a job run in the next thread that is free."""
        self.busy += 1
        self._waiting.put(running)

    def take_back(self) -> list[Running]:
        """Return the jobs that no thread has taken yet."""
        waiting: list[Running] = []
        while True:
            try:
                running = self._waiting.get_nowait()
            except Empty:
                return waiting
            if self.take_one_back(running):
                waiting.append(running)

    def take_one_back(self, running: Running) -> bool:
        """Keep a job from being run here; tell whether no thread has taken it yet."""
        taken = running.take()
        self.busy -= taken
        return taken

    def break_off(self, running: Running, error: type[BaseException]) -> None:
        """Raise into the thread of a job, wherever it is; not into C code."""
        with running.lock:  # not a moment later: the thread would run another job
            if running.thread:
                raise_into(running.thread, error)

    def _run(self) -> None:
        while True:
            running = self._waiting.get()
            if not running.take():
                continue  # it was given back meanwhile
            try:
                self._run_undisturbed(running)
                self._lane.settle(running)
            except Exception as error:  # noqa: BLE001 - raised again by the main thread
                running.error = error
            finally:
                self._lane.ended.put(running)

    def _run_undisturbed(self, running: Running) -> None:
        """Run a job; nothing is raised into this thread any more when it returns."""
        try:
            try:
                self._run_here(running)
            finally:
                _close(running)
        except (JobTimeoutException, Stopped, Interrupted):
            _close(running)  # the job was over already

    def _run_here(self, running: Running) -> None:
        if not self._lane.begin(running):
            return
        running.thread = threading.get_ident()
        try:
            if running.by_rq:
                running.succeeded = self._lane.execute.perform_by_rq(running.lease)
            elif running.outcome is None and running.delivery is not None:
                running.outcome = self._lane.attempted(running, running.delivery)
        except Stopped:
            running.stopped = True
        except Interrupted:
            running.broken_off = True
        except BaseException as error:  # noqa: BLE001 - a lane outlives any job
            running.outcome = Failed(error=error)


def _close(running: Running) -> None:
    """Let nothing more be raised into the thread of a job, not even what was before."""
    with running.lock:
        thread, running.thread = running.thread, 0
        if thread:
            raise_into(thread, None)


def raise_into(thread: int, error: type[BaseException] | None) -> None:
    """Raise into a thread, wherever it is; None takes back what has not come yet."""
    thrown = None if error is None else ctypes.py_object(error)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), thrown)


def timeout_of_thread(seconds: float) -> type[BaseException]:
    """Return what to raise into a thread whose job has run for too long."""
    # An exception is raised into a thread by its class: so the class has the words.
    text = f"Task exceeded maximum timeout value ({seconds:g} seconds)"
    name = JobTimeoutException.__name__

    def words(_self: BaseException) -> str:
        return text

    return type(name, (JobTimeoutException,), {"__str__": words})
