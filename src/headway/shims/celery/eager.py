"""Calls that are made here and now: `apply`, and `task_always_eager`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from headway.shims.celery import request, running, states
from headway.shims.celery.exceptions import Ignore, Reject, Retry
from headway.shims.celery.result import EagerResult
from headway.shims.celery.utils import uuid


def applied(
    task: Any,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    *,
    task_id: str | None = None,
    throw: bool | None = None,
    retries: int = 0,
    **options: Any,
) -> EagerResult:
    """Run a call as a worker would, again where it asks for it; waits are left out.

    Raises:
        Exception: what it raised, where it is to be thrown.
    """
    task_id = task_id or uuid()
    call = request.Context(
        args=args,
        kwargs=dict(kwargs),
        id=task_id,
        root_id=task_id,
        task=task.name,
        retries=retries,
        is_eager=True,
        called_directly=False,
        callbacks=options.get("link"),
        errbacks=options.get("link_error"),
        headers=options.get("headers"),
        delivery_info={"is_eager": True, "routing_key": options.get("queue")},
    )
    throws = task.app.conf.task_eager_propagates if throw is None else throw
    try:
        value: Any = running.traced(task, call)
    except Retry:
        more: dict[str, Any] = {**options, "retries": retries + 1}
        return applied(task, args, kwargs, task_id=task_id, throw=throw, **more)
    except (Ignore, Reject):
        return EagerResult(task_id, None, states.IGNORED)
    except Exception as error:
        if throws:
            raise
        text = str(running.ExceptionInfo(error))
        return EagerResult(task_id, error, states.FAILURE, text)
    return EagerResult(task_id, value, states.SUCCESS)
