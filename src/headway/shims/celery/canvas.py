"""Calls written down, and put together: Celery's signatures, sent as workflows of ours.

A signature is a dict, so that it travels as an argument. What a chain, a group or a
chord becomes is in `sending`.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from operator import itemgetter
from typing import Any, Self

from headway.shims.celery import current, sending
from headway.shims.celery.lacking import missing, nothing_else, refuse
from headway.shims.celery.running import many

_INSTEAD = {
    "stamp": "pass headers=... to apply_async",
    "replace": "make another signature",
    "freeze": "give it a task_id: sig.set(task_id=...)",
    "freeze_as": "give it a task_id: sig.set(task_id=...)",
}


class Signature(dict[str, Any]):
    """One call, or several put together."""

    def __init__(
        self,
        task: Any = None,
        args: Any = None,
        kwargs: Any = None,
        options: Any = None,
        type: object = None,
        subtask_type: str | None = None,
        immutable: bool = False,
        app: Any = None,
        **more: Any,
    ) -> None:
        self._app = app
        if isinstance(task, dict):
            super().__init__(task)
            return
        super().__init__(
            task=getattr(task, "name", task),
            args=tuple(args or ()),
            kwargs=dict(kwargs or {}),
            options={**(options or {}), **more},
            subtask_type=subtask_type,
            immutable=immutable,
        )

    # Its parts, as attributes
    task: Any = property(itemgetter("task"))
    name: Any = property(itemgetter("task"))
    args: Any = property(itemgetter("args"))
    kwargs: Any = property(itemgetter("kwargs"))
    options: Any = property(itemgetter("options"))
    immutable: Any = property(itemgetter("immutable"))
    #: "chain", "group" or "chord"; None for one call.
    subtask_type: Any = property(itemgetter("subtask_type"))

    @property
    def app(self) -> Any:
        return self._app or current.get_current()

    @property
    def type(self) -> Any:
        return self.app.tasks[self.task]

    @property
    def id(self) -> Any:
        return self.options.get("task_id")

    # Sending

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.type(*args, *self.args, **{**self.kwargs, **kwargs})

    def delay(self, *args: Any, **kwargs: Any) -> Any:
        return self.apply_async(args, kwargs)

    def apply_async(self, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """Send it, these arguments before its own, with options.

        Raises:
            ConfigurationError: an option has no meaning here.
            EnqueueError: the store did not confirm the jobs.
        """
        sig = self.clone(args, kwargs, **options)
        if sig.app.conf.task_always_eager:
            return sending.applied(sig, ())
        return sending.sent(sig)

    def apply(self, args: Any = (), kwargs: Any = None, **options: Any) -> Any:
        """Do the work here and now, as a worker would."""
        return sending.applied(self.clone(args, kwargs, **options), ())

    # Making others of it

    def clone(self, args: Any = (), kwargs: Any = None, **options: Any) -> Self:
        """Return a copy with arguments before its own, and options."""
        copy = self.of(self, self._app)
        copy["options"] = {**self.options, **options}
        if not self.immutable:
            copy["args"] = (*(args or ()), *self.args)
            copy["kwargs"] = {**self.kwargs, **(kwargs or {})}
        return copy

    partial = clone

    @classmethod
    def of(cls, found: Mapping[str, Any], app: Any) -> Self:
        """Return the one that has travelled as a dict."""
        made = cls.__new__(cls)
        parts = {"args": tuple(found["args"]), "options": dict(found["options"])}
        Signature.__init__(made, {**found, **parts}, app=app)
        return made

    def set(self, immutable: bool | None = None, **options: Any) -> Self:
        if immutable is not None:
            self["immutable"] = immutable
        self.options.update(options)
        return self

    def set_immutable(self, immutable: bool) -> None:
        self["immutable"] = immutable

    def link(self, callback: Any) -> Any:
        return self._linked("link", callback)

    def link_error(self, errback: Any) -> Any:
        return self._linked("link_error", errback)

    def _linked(self, word: str, sig: Any) -> Any:
        known = many(self.options.get(word))
        if sig not in known:
            self.options[word] = [*known, sig]
        return sig

    def on_error(self, errback: Any) -> Self:
        self.link_error(errback)
        return self

    def __or__(self, other: Any) -> Any:
        """Send the other once this one has returned, with what it returned."""
        is_one = isinstance(other, Signature)
        return chain(self, other, app=self._app) if is_one else NotImplemented

    def __getattr__(self, name: str) -> Any:
        raise missing(type(self).__name__, name, _INSTEAD)

    def __deepcopy__(self, memo: Any) -> Self:
        return self.clone()

    def __reduce__(self) -> Any:
        return signature, (dict(self),)

    def __repr__(self) -> str:
        shown = [*map(repr, self.args)]
        shown += [f"{name}={value!r}" for name, value in self.kwargs.items()]
        return f"{self.task}({', '.join(shown)})"


class _Several(Signature):
    """Signatures that are sent together."""

    @property
    def tasks(self) -> list[Signature]:
        return [signature(each, app=self._app) for each in self.kwargs["tasks"]]

    def clone(self, args: Any = (), kwargs: Any = None, **options: Any) -> Self:
        if kwargs:
            refuse(f"{self.task} with keywords {kwargs}", "give them to its calls")
        return super().clone(args, **options)

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.apply_async(args, **options)

    def __repr__(self) -> str:
        return f"{self.task}({', '.join(map(repr, self.tasks))})"


class _Chain(_Several):
    """One after another."""


class group(_Several):
    """Side by side."""

    def __init__(self, *tasks: Any, app: Any = None, **options: Any) -> None:
        super().__init__(
            "celery.group",
            (),
            {"tasks": [signature(each, app=app) for each in _given(tasks)]},
            options,
            subtask_type="group",
            app=app,
        )

    def __len__(self) -> int:
        return len(self.kwargs["tasks"])


class chord(_Several):
    """Side by side, then one that is given the list of their results."""

    def __init__(
        self, header: Any, body: Any = None, app: Any = None, **options: Any
    ) -> None:
        tasks = header.tasks if isinstance(header, group) else list(header)
        super().__init__(
            "celery.chord",
            (),
            {"tasks": [signature(each, app=app) for each in tasks], "body": body},
            options,
            subtask_type="chord",
            app=app,
        )

    @property
    def body(self) -> Any:
        body = self.kwargs["body"]
        if body is None:
            refuse("a chord without a body", "call it with one: chord(header)(body)")
        if not isinstance(body, Signature):  # it has travelled
            self.kwargs["body"] = body = signature(body, app=self._app)
        return body

    def __call__(self, body: Any = None, **options: Any) -> Any:
        whole = self.clone()
        if body is not None:
            whole["kwargs"] = {**self.kwargs, "body": body}
        return whole.apply_async(**options)

    def link(self, callback: Any) -> Any:
        return self.body.link(callback)


_KINDS: dict[str | None, type[Signature]] = {
    "chain": _Chain,
    "group": group,
    "chord": chord,
}


def chain(*tasks: Any, app: Any = None, **options: Any) -> Any:
    """Write down calls that are made one after another; of one call it is the call."""
    steps: list[Any] = []
    for each in _given(tasks):
        step = signature(each, app=app)
        # A chain in a chain is more of its steps, as long as nothing is said of it.
        steps += step.tasks if isinstance(step, _Chain) and not step.options else [step]
    if len(steps) == 1:
        return steps[0].set(**options)
    return _Chain(
        "celery.chain", (), {"tasks": steps}, options, subtask_type="chain", app=app
    )


def signature(
    varies: Any,
    args: Any = (),
    kwargs: Any = None,
    options: Any = None,
    app: Any = None,
    **more: Any,
) -> Any:
    """Return a signature: of a name, of a task, or of one that has travelled."""
    if isinstance(varies, Signature):
        return varies.clone()
    if isinstance(varies, Mapping):
        kind = _KINDS.get(varies.get("subtask_type"), Signature)
        return kind.of(varies, app)
    return Signature(varies, args, kwargs, options, app=app, **more)


subtask = maybe_signature = signature


def xmap(task: Any, it: Iterable[Any]) -> Signature:
    """Write down a call for each, one after the other in one job."""
    return Signature("celery.map", (), {"task": task.s(), "it": list(it)}, app=task.app)


def xstarmap(task: Any, it: Iterable[Any]) -> Signature:
    """Write down a call for each, its arguments given as a tuple."""
    given = {"task": task.s(), "it": list(it)}
    return Signature("celery.starmap", (), given, app=task.app)


class chunks:
    """Calls, so many of them in each job."""

    def __init__(self, task: Any, it: Iterable[Any], n: int) -> None:
        self.task, self.it, self.n = task, it, n

    def group(self) -> group:
        left = iter(self.it)
        parts = iter(lambda: list(itertools.islice(left, self.n)), [])
        return group([xstarmap(self.task, part) for part in parts], app=self.task.app)

    def delay(self) -> Any:
        return self.group().delay()

    def apply_async(self, **options: Any) -> Any:
        return self.group().apply_async(**options)

    __call__ = delay


def add_canvas_tasks(app: Any) -> None:
    """Have an application run what `map` and `starmap` write down."""

    def run_map(task: Any, it: list[Any]) -> list[Any]:
        run = signature(task, app=app).type
        return [run(each) for each in it]

    def run_starmap(task: Any, it: list[Any]) -> list[Any]:
        run = signature(task, app=app).type
        return [run(*each) for each in it]

    app.task(run_map, name="celery.map")
    app.task(run_starmap, name="celery.starmap")


def _given(tasks: tuple[Any, ...]) -> list[Any]:
    """Return signatures that were given one by one, or as one list or generator."""
    if len(tasks) == 1 and not isinstance(tasks[0], Mapping):
        only = tasks[0]
        if not hasattr(only, "apply_async"):
            return list(only)
    return list(tasks)


__getattr__ = nothing_else("canvas")
