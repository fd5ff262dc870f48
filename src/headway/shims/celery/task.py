"""A task as Celery's API has it, upon one of Headway's."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, NoReturn

from headway.delivery import current_job
from headway.shims.celery import plain, request, running
from headway.shims.celery.canvas import Signature, chunks, xmap, xstarmap
from headway.shims.celery.eager import applied
from headway.shims.celery.exceptions import MaxRetriesExceededError, Retry
from headway.shims.celery.lacking import missing, refuse
from headway.shims.celery.options import moment

_INSTEAD = {
    "replace": "send the workflow at the end: sig.delay()",
    "add_to_chord": "give the chord all its tasks when it is sent",
    "send_event": "use update_state, or current_job().log(...)",
    "subtask_from_request": "use self.retry()",
    "signature_from_request": "use self.retry()",
    "add_trail": "ask the AsyncResult of what was sent",
}


class Task:
    """Base of all tasks; `@app.task` makes a class and its one task of a function."""

    name: str = ""
    app: Any = None
    max_retries: int | None = 3
    default_retry_delay: float = 180
    autoretry_for: tuple[type[BaseException], ...] = ()
    dont_autoretry_for: tuple[type[BaseException], ...] = ()
    retry_kwargs: Mapping[str, Any] = {}
    retry_backoff: float = False
    retry_backoff_max: float = 600
    retry_jitter: bool = True
    time_limit: float | None = None
    soft_time_limit: float | None = None
    ignore_result: bool | None = None
    acks_late: bool | None = None
    queue: str | None = None
    priority: int | None = None
    expires: float | datetime | None = None
    rate_limit: str | None = None
    serializer: str | None = None
    typing: bool = True
    throws: tuple[type[BaseException], ...] = ()
    MaxRetriesExceededError = MaxRetriesExceededError

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work.

        Raises:
            NotImplementedError: the class does not say how.
        """
        raise NotImplementedError(f"{self.name}: a task needs a run() of its own")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Do the work here and now, as a plain call."""
        with running.entered(self, request.Context(args=args, kwargs=kwargs)):
            return self.run(*args, **kwargs)

    # Sending

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        """Send the call.

        Raises:
            TypeError: the arguments do not fit.
        """
        return self.apply_async(args, kwargs)

    def apply_async(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        task_id: str | None = None,
        producer: object = None,
        link: Any = None,
        link_error: Any = None,
        shadow: str | None = None,
        **options: Any,
    ) -> Any:
        """Send the call with options.

        Raises:
            TypeError: the arguments do not fit.
            ConfigurationError: an option has no meaning here.
            EnqueueError: the store did not confirm the job.
        """
        args, kwargs = tuple(args or ()), dict(kwargs or {})
        self.check_arguments(args, kwargs)
        said = {"task_id": task_id, "shadow": shadow}
        said |= {"link": link, "link_error": link_error}
        options |= {word: value for word, value in said.items() if value is not None}
        if self.app.conf.task_always_eager:
            return applied(self, args, kwargs, **options)
        return self.app.send_task(self.name, args, kwargs, **options)

    def apply(
        self,
        args: Iterable[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Any:
        return applied(self, tuple(args or ()), dict(kwargs or {}), **options)

    def check_arguments(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
        """Refuse a call that does not fit.

        Raises:
            TypeError: in Python's own words.
        """
        if not self.typing:
            return
        try:
            inspect.signature(self.run).bind(*args, **kwargs)
        except TypeError as error:
            name = self.name.rpartition(".")[2]
            raise TypeError(f"{name}() {error}") from None

    # While it runs

    @property
    def request(self) -> request.Context:
        """Return the call that runs here."""
        calls = reversed(request.stack.get())
        return next((call for task, call in calls if task is self), request.Context())

    def retry(
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: BaseException | None = None,
        throw: bool = True,
        eta: datetime | None = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> NoReturn:
        """Have the call made again later.

        Raises:
            Retry: to be raised out of the task.
            MaxRetriesExceededError: it was made often enough; or `exc` instead.
            ConfigurationError: it is to be made in another way than before.
        """
        call = self.request
        if call.called_directly:
            _raise(exc or Retry("Task can be retried"))
        changed = {"args": args, "kwargs": kwargs, **options}
        for word, value in changed.items():
            if value is not None and value != getattr(call, word, None):
                refuse(
                    f"retry({word}={value!r})", "send another call: apply_async(...)"
                )
        if not throw:
            refuse("retry(throw=False)", "have it raised")
        limit = self.max_retries if max_retries is None else max_retries
        if limit is not None and call.retries >= limit:
            if exc is not None:
                _raise(exc)
            raise self.MaxRetriesExceededError(
                f"Can't retry {self.name}[{call.id}] args:{call.args} "
                f"kwargs:{call.kwargs}",
                task_args=call.args,
                task_kwargs=call.kwargs,
            )
        raise self._asked(exc, eta, countdown)

    def _asked(
        self, exc: BaseException | None, eta: datetime | None, countdown: float | None
    ) -> Retry:
        if eta is not None:
            wait = (
                moment(eta, self.app.conf) - self.app.headway.clock.now()
            ).total_seconds()
            return Retry(exc=exc, when=eta, wait=wait)
        delay = self.default_retry_delay if countdown is None else countdown
        return Retry(exc=exc, when=delay, wait=delay)

    def update_state(
        self,
        task_id: str | None = None,
        state: str | None = None,
        meta: Any = None,
        **_: Any,
    ) -> None:
        """Say how far the running call has come; AsyncResult has it.

        Raises:
            ConfigurationError: it is another call than the one that runs here.
        """
        call = self.request
        if task_id not in (None, call.id):
            refuse(f"update_state({task_id=})", "a task speaks of its own call only")
        job = current_job()
        if job is None or call.called_directly:
            return
        match meta:
            case {
                "current": int() | float() as done,
                "total": int() | float() as total,
            }:
                job.progress(done, total)
            case _:
                pass
        running.note(job, state=state, meta=plain.written(meta, self.name))

    def AsyncResult(self, task_id: str, **kwargs: Any) -> Any:
        return self.app.AsyncResult(task_id, task_name=self.name, **kwargs)

    # What a class may do beside run()

    def before_start(self, task_id: Any, args: Any, kwargs: Any) -> None: ...

    def on_success(self, retval: Any, task_id: Any, args: Any, kwargs: Any) -> None: ...

    def on_retry(
        self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any
    ) -> None: ...

    def on_failure(
        self, exc: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any
    ) -> None: ...

    def after_return(
        self, status: str, retval: Any, task_id: Any, args: Any, kwargs: Any, einfo: Any
    ) -> None: ...

    # Signatures

    def signature(
        self, args: Any = None, kwargs: Any = None, **options: Any
    ) -> Signature:
        immutable = options.pop("immutable", False)
        given = options.pop("options", {})
        return Signature(
            self, args, kwargs, {**given, **options}, immutable=immutable, app=self.app
        )

    subtask = signature

    def s(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs)

    def si(self, *args: Any, **kwargs: Any) -> Signature:
        return self.signature(args, kwargs, immutable=True)

    def map(self, it: Iterable[Any]) -> Signature:
        return xmap(self, it)

    def starmap(self, it: Iterable[Any]) -> Signature:
        return xstarmap(self, it)

    def chunks(self, it: Iterable[Any], n: int) -> Any:
        return chunks(self, it, n)

    def __getattr__(self, name: str) -> Any:
        raise missing(f"task {self.name}", name, _INSTEAD)

    def __repr__(self) -> str:
        return f"<@task: {self.name}>"


def task_class(
    function: Callable[..., Any],
    base: type[Task],
    *,
    bind: bool,
    options: dict[str, Any],
) -> type[Task]:
    """Return the class of a function's task."""
    return type(
        function.__name__,
        (base,),
        {
            **options,
            "run": function if bind else staticmethod(function),
            "__doc__": function.__doc__,
            "__module__": function.__module__,
        },
    )


def _raise(exc: BaseException) -> NoReturn:
    """Raise it from what is being handled, which may be the same."""
    current = sys.exc_info()[1]
    if current is None or current is exc:
        raise exc
    raise exc from current
