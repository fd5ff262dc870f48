"""One run of a task: what is called round it, and what is sent when it is over.

The job's own outcome is Headway's: what the task returns here, or raises.
"""

from __future__ import annotations

import contextlib
import inspect
import logging
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

from headway.delivery import RunningJob, current_job
from headway.reference import is_failure
from headway.shims.celery import plain, request, signals, states
from headway.shims.celery.exceptions import ChordError, Ignore, Reject, Retry
from headway.shims.celery.outcome import NOTE
from headway.shims.celery.request import EXTRAS, Context
from headway.shims.celery.retries import retried

log = logging.getLogger("headway.shims.celery")


class ExceptionInfo:
    """An exception, and its traceback as text."""

    def __init__(self, error: BaseException) -> None:
        self.exception, self.type = error, type(error)
        self.traceback = "".join(traceback.format_exception(error))

    def __str__(self) -> str:
        return self.traceback


def function_of(task: Any) -> Callable[..., Any]:
    """Return the function that a job of a task runs; it has no annotation to ask."""

    def run(*args: Any, **kwargs: Any) -> Any:
        extras = kwargs.pop(EXTRAS, {})
        before = extras.pop("before", None)
        args, kwargs = tuple(plain.read(list(args))), plain.read(kwargs)
        call = request.of_the_job(task, args, kwargs, extras)
        try:
            _refuse_failed(task, call, before)
            value = traced(task, call)
        except Ignore:
            _keep_state()
            return None
        except (Retry, Reject):
            raise
        except Exception as error:
            _note_error(error)
            raise
        return plain.written(value, f"the result of {task.name}")

    run.__name__ = run.__qualname__ = task.name.rpartition(".")[2]
    return run


@contextlib.contextmanager
def entered(task: Any, call: Context) -> Generator[None]:
    """Have `self.request` be this call for a while."""
    token = request.stack.set((*request.stack.get(), (task, call)))
    try:
        yield
    finally:
        request.stack.reset(token)


def traced(task: Any, call: Context) -> Any:
    """Run a call with all that is to be told of it; return what it returns.

    Raises:
        Retry: it is to run again.
        Ignore: nothing is to become of it.
        Exception: it has failed.
    """
    given = {"task_id": call.id, "args": call.args, "kwargs": call.kwargs}
    with entered(task, call):
        signals.task_prerun.send(task, task=task, **given)
        try:
            return _told(task, call)
        finally:
            ended = {"state": call.get("state"), "retval": call.get("retval")}
            signals.task_postrun.send(task, task=task, **given, **ended)


def _told(task: Any, call: Context) -> Any:
    """Run a call, and have its class and the signals hear what becomes of it."""
    try:
        task.before_start(call.id, call.args, call.kwargs)
        value = _returned(task, call)
        _send_callbacks(task, call, value)
    except (Ignore, Reject):
        raise
    except Retry as error:
        info = ExceptionInfo(error)
        task.on_retry(error.exc or error, call.id, call.args, call.kwargs, info)
        signals.task_retry.send(task, request=call, reason=error, einfo=info)
        _tell_ended(task, call, states.RETRY, error, info)
        raise
    except Exception as error:
        _tell_failed(task, call, error)
        raise
    task.on_success(value, call.id, call.args, call.kwargs)
    signals.task_success.send(task, result=value)
    _tell_ended(task, call, states.SUCCESS, value)
    return value


def _tell_failed(task: Any, call: Context, error: Exception) -> None:
    info = ExceptionInfo(error)
    about = {"args": call.args, "kwargs": call.kwargs}
    task.on_failure(error, call.id, call.args, call.kwargs, info)
    signals.task_failure.send(
        task, task_id=call.id, exception=error, traceback=None, einfo=info, **about
    )
    _send_errbacks(task, call, error, info)
    _tell_ended(task, call, states.FAILURE, error, info)


def _tell_ended(
    task: Any, call: Context, state: str, value: Any, info: ExceptionInfo | None = None
) -> None:
    call.update(state=state, retval=value)
    task.after_return(state, value, call.id, call.args, call.kwargs, info)


def _returned(task: Any, call: Context) -> Any:
    try:
        return task.run(*call.args, **call.kwargs)
    except Exception as error:
        outcome = retried(task, error)
        if outcome is error:
            raise
        raise outcome from error


# What is sent


def _send_callbacks(task: Any, call: Context, value: Any) -> None:
    for sig, ids in _signatures(task, call, call.callbacks, "link"):
        sig.apply_async((value,), **ids)


def _send_errbacks(
    task: Any, call: Context, error: Exception, info: ExceptionInfo
) -> None:
    """Call those here that take the error, and send the others the call's id."""
    for sig, ids in _signatures(task, call, call.errbacks, "error"):
        handler = task.app.tasks.get(sig.task)
        if handler is None or not _takes_more_than_one(handler.run, sig.args):
            sig.apply_async((call.id,), **ids)
            continue
        try:
            handler(*_arguments(sig, call, error, info), **sig.kwargs)
        except Exception:  # it is told in the log; the task has failed all the same
            log.exception("errback %s raised", sig.task)


def _arguments(
    sig: Any, call: Context, error: Exception, info: ExceptionInfo
) -> tuple[Any, ...]:
    return tuple(sig.args) if sig.immutable else (call, error, info, *sig.args)


def _signatures(
    task: Any, call: Context, found: Any, what: str
) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield signatures, and ids that are the same should the call run once more."""
    for number, each in enumerate(many(found)):
        sig = task.app.signature(each)
        own = {"task_id": f"{call.id}-{what}-{number}"} if not sig.subtask_type else {}
        if call.is_eager:
            own = {}
        yield sig, own


def _takes_more_than_one(run: Callable[..., Any], given: Iterable[Any]) -> bool:
    parameters = inspect.signature(run).parameters.values()
    if any(each.kind is each.VAR_POSITIONAL for each in parameters):
        return True
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    places = [each for each in parameters if each.kind in kinds]
    return len(places) - len(tuple(given)) > 1


def many(found: Any) -> list[Any]:
    """Return a list of one or more."""
    if not found:
        return []
    return list(found) if isinstance(found, list | tuple) else [found]


# What is kept of it


def note(job: RunningJob, **said: Any) -> None:
    """Keep something with the job, for AsyncResult to read."""
    job.checkpoint({NOTE: {**said, "attempt": job.attempt}})


def _keep_state() -> None:
    job = current_job()
    if job is not None and NOTE in (job.last_checkpoint or {}):
        said = job.last_checkpoint[NOTE]
        note(job, **{k: v for k, v in said.items() if k != "attempt"}, ignored=True)


def _note_error(error: Exception) -> None:
    """Keep what an exception was made of: its text alone would not bring it back."""
    job = current_job()
    if job is None:
        return
    kind = type(error)
    try:
        args = plain.written(list(error.args), "an exception")
        note(job, error=[kind.__qualname__, kind.__module__, args])
    except Exception:  # noqa: BLE001 - then its text has to do
        log.debug("job %s: its exception is kept as text", job.id)


def _refuse_failed(task: Any, call: Context, before: Any) -> None:
    """Refuse to run behind what has failed, where the others of a header went on.

    Raises:
        ChordError: naming it.
    """
    if isinstance(before, list):
        for each in before:
            _refuse_failed(task, call, each)
    elif is_failure(before):
        error = ChordError(f"Dependency {before['job_id']} raised {before['error']}")
        _send_errbacks(task, call, error, ExceptionInfo(error))
        raise error
