"""RQ's callbacks: each leaves a line, in the list of its job."""

from __future__ import annotations


def succeeded(job, connection, result):
    connection.rpush(f"trace:{job.id}", f"succeeded {result} {job.is_started}")


def failed(job, connection, kind, value, _traceback):
    connection.rpush(f"trace:{job.id}", f"failed {kind.__name__} {value}")


def stopped(job, connection):
    connection.rpush(f"trace:{job.id}", "stopped")


def stopped_raises(job, connection):
    connection.rpush(f"trace:{job.id}", "stopped raises")
    raise RuntimeError("of the callback")
