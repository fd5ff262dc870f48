"""`Celery`: an application as its API has it, upon one of Headway's."""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from headway.app import App
from headway.message import Message
from headway.queue import Queue
from headway.shims.celery import beat, canvas, current, modules, plain, request, signals
from headway.shims.celery import task as tasks
from headway.shims.celery.conf import Conf
from headway.shims.celery.control import Control
from headway.shims.celery.exceptions import NotRegistered
from headway.shims.celery.lacking import missing, refuse
from headway.shims.celery.options import NO_LIMIT, check_task, is_ignored, options_of
from headway.shims.celery.request import EXTRAS
from headway.shims.celery.result import AsyncResult, GroupResult
from headway.shims.celery.routes import queue_name, queues_of
from headway.shims.celery.running import function_of
from headway.task import Task

#: Words of a call that travel with it, and as what `self.request` has them.
_TRAVEL = {
    "link": "callbacks",
    "link_error": "errbacks",
    "headers": "headers",
    "root_id": "root_id",
    "parent_id": "parent_id",
}
_INSTEAD = {
    "worker_main": "start `headway worker`",
    "start": "start `headway worker`",
    "Worker": "start `headway worker`",
    "Beat": "start `headway scheduler`",
    "connection": "the store is app.headway.backend()",
    "amqp": "queues are app.headway.queues",
    "backend": "ask an AsyncResult, or app.headway.job(id)",
    "events": "subscribe: app.headway.subscribe(function)",
    "log": "LOG_FORMAT and LOG_LEVEL say how a worker logs",
    "steps": "use middleware: app.headway.middleware",
    "user_options": "options of a worker are those of `headway worker`",
}


class Tasks(dict[str, Any]):
    """The tasks by name."""

    def __missing__(self, name: str) -> Any:
        raise NotRegistered(name)


class Celery:
    """Celery's application; `headway` is the one that it stands upon."""

    def __init__(
        self,
        main: str | None = None,
        broker: str | None = None,
        backend: str | None = None,
        include: Iterable[str] | None = None,
        set_as_current: bool = True,
        config_source: Any = None,
        task_cls: type[tasks.Task] | None = None,
        headway: App | None = None,
        **settings: Any,
    ) -> None:
        """Declare an application; nothing is connected or imported yet.

        `headway` is an application of Headway's that its tasks are to be added to.

        Raises:
            ConfigurationError: a setting is refused.
        """
        self.main = main
        self.tasks = Tasks()
        self.Task = task_cls or tasks.Task
        self.control = Control(self)
        self.on_after_configure = signals.Signal("on_after_configure")
        self.on_after_finalize = signals.Signal("on_after_finalize")
        self._given, self._made = headway, headway
        self._defined: dict[str, Task[..., Any]] = {}
        self._lock = threading.RLock()
        self._to_discover: list[tuple[Any, str | None]] = []
        self._is_loaded = False
        # What is settled of a task depends on the settings.
        self.conf = Conf(self._defined.clear)
        said = {"broker_url": broker, "result_backend": backend, "include": include}
        self.conf.update({name: value for name, value in said.items() if value})
        self.conf.update(settings)
        if config_source:
            self.config_from_object(config_source)
        canvas.add_canvas_tasks(self)
        current.apps.append(self)
        if set_as_current:
            self.set_current()
        for define in current.shared:
            define(self)

    # What it stands upon

    @property
    def headway(self) -> App:
        """Return the application of Headway's, with the queues known so far."""
        with self._lock:
            if self._made is None:
                self._made = App(
                    queues=[Queue(name, timeout=NO_LIMIT) for name in self._queues()],
                    tasks=(),
                    redis_url=self.conf.redis_url,
                )
            declare = self._made.declarations
            declare.setdefault("beat_schedule", lambda: beat.schedules_of(self))
            return self._made

    def loaded_app(self) -> App:
        """Return it with all tasks, their modules imported, as a worker has it.

        Raises:
            ConfigurationError: a module does not import, or an option is refused.
        """
        self.finalize()
        app = self.headway
        for queue in self._queues():
            self._declare(queue)
        for name in self.tasks:
            app.registry.add(self._task_of(name))
        return app

    def _queues(self) -> list[str]:
        """Return the queues that settings and tasks name, in the order of urgency."""
        conf = self.conf
        entries = (each.get("options") or {} for each in conf.beat_schedule.values())
        found = [
            *(conf.task_queues or [conf.task_default_queue]),
            *queues_of(conf.task_routes),
            *(task.queue for task in self.tasks.values()),
            *(options.get("queue") for options in entries),
            conf.task_default_queue,
        ]
        return list(dict.fromkeys(queue_name(queue) for queue in found if queue))

    def _declare(self, name: str) -> bool:
        """Have a queue, if settings or a task know it; tell whether it is there."""
        app = self.headway
        if any(queue.name == name for queue in app.queues):
            return True
        if self._given is not None or name not in self._queues():
            return False
        app.declare(Queue(name, timeout=NO_LIMIT))
        return True

    # Settings

    def config_from_object(
        self, obj: Any, silent: bool = False, force: bool = False, namespace: Any = None
    ) -> None:
        """Take settings from an object, or a module by its name.

        Raises:
            ConfigurationError: a setting is refused.
            ImportError: there is no such module.
        """
        try:
            self.conf.take(obj, namespace)
        except ImportError:
            if not silent:
                raise

    def autodiscover_tasks(
        self, packages: Any = None, related_name: str | None = "tasks", **ignored: Any
    ) -> None:
        """Import that module of each package, once a worker needs the tasks."""
        self._to_discover.append((packages, related_name))

    def finalize(self, auto: bool = False) -> None:
        """Import all modules of tasks, and ask those who add schedules.

        Raises:
            ConfigurationError: a module does not import.
        """
        with self._lock:
            if self._is_loaded:
                return
            self._is_loaded = True
            self.on_after_configure.send(self, source=self.conf)
            modules.import_all(self.conf.include)
            modules.import_all(self.conf.imports)
            for packages, name in self._to_discover:
                modules.import_all(modules.discovered(packages, name))
            self.on_after_finalize.send(self)
            started = signals.worker_process_init
            self.headway.on_worker_start()(lambda: started.send(self))

    def add_periodic_task(
        self,
        schedule: Any,
        sig: Any,
        args: Any = (),
        kwargs: Any = None,
        name: str | None = None,
        **options: Any,
    ) -> str:
        """Add an entry to the beat schedule; return its name."""
        sig = self.signature(sig).clone(args, kwargs)
        key = name or repr(sig)
        said = {k: sig[k] for k in ("task", "args", "kwargs")}
        said |= {"schedule": schedule, "options": {**sig.options, **options}}
        self.conf.beat_schedule = {**self.conf.beat_schedule, key: said}
        return key

    # Tasks

    def task(self, *args: Any, **options: Any) -> Any:
        """Make a function a task, as `@app.task` or `@app.task(bind=True)`.

        Raises:
            ConfigurationError: an option is refused.
        """

        def define(function: Callable[..., Any]) -> Any:
            return self._of_function(function, **options)

        return define(args[0]) if args else define

    def _of_function(
        self,
        function: Callable[..., Any],
        name: str | None = None,
        base: type[tasks.Task] | None = None,
        bind: bool = False,
        **options: Any,
    ) -> Any:
        name = name or self.gen_task_name(function.__name__, function.__module__)
        if name in self.tasks:
            return self.tasks[name]
        options["name"] = name
        kind = tasks.task_class(function, base or self.Task, bind=bind, options=options)
        return self.register_task(kind)

    def register_task(self, task: Any, **options: Any) -> Any:
        """Add a task that was written as a class.

        Raises:
            ConfigurationError: an option is refused.
        """
        made: Any = task() if inspect.isclass(task) else task
        kind = type(made)
        made.name = made.name or self.gen_task_name(kind.__name__, kind.__module__)
        made.app = self
        check_task(made)
        self.tasks[made.name] = made
        return made

    def gen_task_name(self, name: str, module: str) -> str:
        """Return the name of a task that has none of its own."""
        home = self.main if module == "__main__" and self.main else module
        return f"{home}.{name}"

    # Sending

    def send_task(
        self, name: str, args: Any = None, kwargs: Any = None, **options: Any
    ) -> AsyncResult:
        """Send a call by the task's name, which need not be known here.

        Raises:
            ConfigurationError: an option has no meaning here.
            EnqueueError: the store did not confirm the job.
        """
        job = self.headway.send_one(self.message(name, args, kwargs, options))
        ignored = is_ignored(self.conf, self.tasks.get(name), options)
        return self.AsyncResult(job.id, ignored=ignored)

    def message(
        self,
        name: str,
        args: Any,
        kwargs: Any,
        options: Mapping[str, Any],
        *,
        before: Any = None,
        takes_it: bool = False,
        on_failure: Any = None,
    ) -> Message[Any]:
        """Return a call as a message of Headway's.

        It waits for the result `before` it, and may take that as its first argument.

        Raises:
            ConfigurationError: an option has no meaning here.
            ArgumentError: an argument has no form in JSON.
        """
        given = plain.written([list(args or ()), dict(kwargs or {})], name)
        extras = _extras(options, name)
        if before is not None:
            extras["before"] = before
        words = given[1] | ({EXTRAS: extras} if extras else {})
        task = self._task_of(name)
        if options or self.conf.task_routes:
            task = task.using(**self._options_of(name, options))
        if on_failure:
            task = task.using(on_failure=on_failure)
        return task.message(*([before] if takes_it else []), *given[0], **words)

    def _task_of(self, name: str) -> Task[..., Any]:
        known = self._defined.get(name)
        if known is None:
            run = function_of(self.tasks[name]) if name in self.tasks else _elsewhere
            options = self._options_of(name, {})
            known = Task(run, name=name, options=options, host=self.headway)
            self._defined[name] = known
            if name in self.tasks:  # an engine's message has the name, too
                self.headway.registry.add(known)
        return known

    def _options_of(self, name: str, call: Mapping[str, Any]) -> Any:
        app = self.headway
        options = options_of(
            self.conf, self.tasks.get(name), name, call, app.clock.now()
        )
        queue = options.get("queue", "")
        if not self._declare(queue):
            self.finalize()
            if not self._declare(queue):
                refuse(
                    f"{name}: a queue {queue!r} that workers do not know of",
                    "name it in app.conf.task_queues, or in task_routes",
                )
        return app.check_options(name, options)

    def signature(
        self, varies: Any, args: Any = (), kwargs: Any = None, **more: Any
    ) -> Any:
        return canvas.signature(varies, args, kwargs, **more, app=self)

    def AsyncResult(self, task_id: str, **kwargs: Any) -> AsyncResult:
        return AsyncResult(task_id, app=self, **kwargs)

    def GroupResult(self, id: str, results: Any, **kwargs: Any) -> GroupResult:
        return GroupResult(id, results, app=self, **kwargs)

    # The rest

    @property
    def current_task(self) -> Any:
        return current.get_task()

    def set_current(self) -> None:
        current.set_current(self)

    set_default = set_current

    def close(self) -> None:
        """Give back all connections."""
        self.headway.close()

    def __getattr__(self, name: str) -> Any:
        raise missing("Celery", name, _INSTEAD)

    def __repr__(self) -> str:
        return f"<Celery {self.main}>"


def _extras(options: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Return what of a call's options its task may ask for, as JSON."""
    found = {word: options[word] for word in _TRAVEL if options.get(word)}
    running = request.top()
    if running and not running[1].called_directly:
        parent = running[1]
        found = {"root_id": parent.root_id, "parent_id": parent.id, **found}
    named = {_TRAVEL[word]: value for word, value in found.items()}
    written: dict[str, Any] = plain.written(named, name)
    return written


def _elsewhere(*args: Any, **kwargs: Any) -> Any:
    """Stand for a task whose code is not here."""
