"""Plain functions, as an application has them; nothing here knows Headway."""

from __future__ import annotations

import os
import sys
import threading

from rq import Retry, get_current_job

from parity_tasks.trace import client, leave


def echo(value):
    return value


def nothing():
    return None


def add(one, other=1):
    return one + other


def fail(message):
    raise ValueError(message)


def fail_from(message):
    try:
        fail(message)
    except ValueError as error:
        raise KeyError(message) from error


def exits(code):
    sys.exit(code)


def hang(key=None):
    if key:
        leave(key, "began")
    threading.Event().wait()


def hang_once(key):
    if leave(key, "began") == 1:
        threading.Event().wait()


def wait(key):
    """Go on when the test says so."""
    leave(key, "began")
    client(os.getpid()).blpop([f"go:{key}"], timeout=60)
    return "went on"


def not_for_any_serializer():
    return threading.Lock()


def trace(key, line):
    leave(key, line)


def fail_until(key, times):
    """Fail the first times."""
    run = leave(key, "run")
    if run < times:
        raise OSError(f"run {run}")
    return run


def ask_again(key, times, interval=0):
    """Return RQ's Retry the first times."""
    run = leave(key, "run")
    if run < times:
        return Retry(max=times, interval=interval)
    return run


def never_content(most):
    return Retry(max=most)


def describe():
    job = get_current_job()
    status = job.get_status()
    return {
        "id": job.id,
        "origin": job.origin,
        "status": str(getattr(status, "value", status)),
        "func_name": job.func_name,
        "args": list(job.args),
        "timeout": job.timeout,
        "meta": job.meta,
        "retries_left": job.retries_left,
        "started": job.started_at is not None,
        "ended": job.ended_at is not None,
    }


def named_by_the_environment():
    """RQ tells a job, and all that it starts, who they are."""
    job = get_current_job()
    return {
        "job": os.environ.get("RQ_JOB_ID") == job.id,
        "worker": os.environ["RQ_WORKER_ID"] == job.worker_name,
    }


def save_meta(**seen):
    job = get_current_job()
    job.meta.update(seen)
    job.save_meta()


def forget_meta():
    get_current_job().meta["lost"] = "not saved"


def delete_itself():
    get_current_job().delete()


def cancel_itself():
    get_current_job().cancel()


async def coroutine(value):
    return value * 2


async def failing_coroutine():
    raise ValueError("awaited")


class Shelf:
    """A class whose methods are jobs."""

    def __init__(self, books=0):
        self.books = books

    def put(self, more):
        return self.books + more

    @staticmethod
    def label(text):
        return text.upper()

    @classmethod
    def name(cls):
        return cls.__name__

    def __call__(self):
        return self.books
