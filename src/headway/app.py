"""The application: its queues, its tasks, and the engine that serves them."""

from __future__ import annotations

import contextlib
import importlib
import inspect
import traceback
from collections.abc import (
    Callable,
    Collection,
    Coroutine,
    Generator,
    Iterator,
    Sequence,
)
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property, partial
from pathlib import Path
from typing import (
    Any,
    Literal,
    ParamSpec,
    Protocol,
    TypeVar,
    Unpack,
    cast,
    get_args,
    overload,
    runtime_checkable,
)

from headway import backends, middleware, resource
from headway.attempt import Attempt
from headway.backend import Backend, Capability
from headway.backends import capabilities
from headway.clock import Clock, SystemClock
from headway.errors import ConfigurationError, DuplicateJobError, HeadwayError
from headway.events import Event, Events, JobEnqueued, Subscriber
from headway.flow import Flow
from headway.job import Job
from headway.message import (
    Envelope,
    Message,
    Sealed,
    Terms,
    ids_for,
    new_id,
    refuse_open,
    seal,
    settle,
)
from headway.middleware import AnyMiddleware, Middleware
from headway.options import JOB_ID, Options, check_options, check_queue
from headway.queue import Queue
from headway.registry import Registry
from headway.resource import Resource, Resources
from headway.schedule import Schedule
from headway.schedules import Schedules
from headway.settings import Settings, engine_override
from headway.signing import Signer
from headway.task import AsyncTask, DefinedTask, Delivered, Task
from headway.workflows import Plan, Workflow, WorkflowKind, WorkflowLine

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")
F = TypeVar("F", bound=Callable[[], object])
M = TypeVar("M", bound=AnyMiddleware)

#: Terms of calls to remember; an application's tasks have a few.
TERMS = 500


class Decorator(Protocol):
    """What `app.task(...)` returns: it keeps a function's own types."""

    # mypy: a coroutine is also some R; the first that fits wins, as meant.
    @overload
    def __call__(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Task[P, R]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StartHook:
    """A function to be called once in a worker before its first job."""

    function: Callable[[], object]
    #: Only in workers that serve this queue; None is all of them.
    queue: str | None


@runtime_checkable
class HoldsApp(Protocol):
    """An application of another library's kind that stands upon one of ours."""

    def loaded_app(self) -> App:
        """Return ours, with all that a worker of it needs imported."""
        ...


class App:
    """Queues in order of urgency, tasks by name, bound to an engine."""

    def __init__(
        self,
        *,
        queues: Sequence[Queue],
        tasks: str | Sequence[str],
        engine: str = "rq",
        redis_url: str | None = None,
        clock: Clock | None = None,
        middleware: Sequence[AnyMiddleware] = (),
        allow: Sequence[str] = (),
        accept_pickle: bool = False,
        signed: bool | Literal["send"] = False,
    ) -> None:
        """Declare an application; nothing is connected or imported yet.

        `tasks` names the package, or packages, whose functions may run; a worker
        imports them when it starts. `allow` names modules or functions elsewhere that
        may run as well, and `accept_pickle` lets its workers unpickle jobs, which
        gives whoever reaches Redis all that the worker can do. With `signed` jobs are
        signed by HEADWAY_SECRET and others are not run; "send" signs them, and runs
        others as well, until all who send do sign. `redis_url` is taken from the
        environment where it is not given.

        Raises:
            ConfigurationError: naming what cannot be.
        """
        self.queues = tuple(self._own(queue) for queue in queues)
        self.engine = engine_override() or engine
        self.clock: Clock = clock or SystemClock()
        self.events = Events()
        packages = (tasks,) if isinstance(tasks, str) else tuple(tasks)
        self.registry = Registry(packages, self._plain_task, allow=allow)
        self.accept_pickle = accept_pickle
        self._signed = signed
        self.resources = Resources()
        self._middleware: list[Middleware] = []
        self.start_hooks: list[StartHook] = []
        #: What declares schedules beside `schedules.py` of the packages, by its name.
        self.declarations: dict[str, Callable[[], Sequence[Schedule]]] = {}
        self._by_name = {queue.name: queue for queue in self.queues}
        self._redis_url = redis_url
        self._backends: dict[str, Backend] = {}
        #: By the identity of the options, which are kept so that it stays theirs.
        self._terms: dict[int, tuple[Options, Terms]] = {}
        self._check()
        for each in middleware:
            self.middleware(each)

    @cached_property
    def signer(self) -> Signer | None:
        """Return what signs jobs; None where nothing does.

        Raises:
            ConfigurationError: there is no secret to sign with.
        """
        return Signer(Settings.from_environment().secret) if self._signed else None

    @property
    def checks_signatures(self) -> bool:
        """Tell whether jobs that are not signed are refused."""
        return self._signed is True

    def _own(self, queue: object) -> Queue:
        if not isinstance(queue, Queue):
            raise ConfigurationError(
                f"App(queues=[{queue!r}]): expected Queue({queue!r})"
            )
        return replace(queue, _source=self)

    def _check(self) -> None:
        if not self.queues:
            raise ConfigurationError("App(queues=[]): expected one queue or more")
        if len(self._by_name) < len(self.queues):
            names = [queue.name for queue in self.queues]
            raise ConfigurationError(f"App(queues={names}): a name stands there twice")
        for queue in self.queues:
            engine = queue.engine or self.engine
            if engine not in backends.ENGINES:
                by = "HEADWAY_ENGINE" if engine == engine_override() else "engine"
                raise ConfigurationError(
                    f"{by}={engine!r}: expected one of {', '.join(backends.ENGINES)}"
                )
            if queue.device:
                said = f"Queue({queue.name!r}, device={queue.device!r})"
                capabilities.refuse(said, Capability.DEVICE, engine)

    # Defining

    @overload
    def task(  # type: ignore[overload-overlap]
        self, function: Callable[P, Coroutine[Any, Any, R]], /
    ) -> AsyncTask[P, R]: ...

    @overload
    def task(self, function: Callable[P, R], /) -> Task[P, R]: ...

    @overload
    def task(self, /, **options: Unpack[Options]) -> Decorator: ...

    def task(
        self, function: Callable[..., Any] | None = None, /, **options: Unpack[Options]
    ) -> Any:
        """Make a function a task, as `@app.task` or `@app.task(queue="gpu")`.

        Raises:
            ConfigurationError: an option cannot be used, or the name is taken.
        """

        def define(function: Callable[..., Any]) -> DefinedTask[..., Any]:
            task = self._made(function, options)
            self.registry.add(task)
            return task

        return define if function is None else define(function)

    def _plain_task(
        self, function: Callable[..., Any], name: str | None = None
    ) -> DefinedTask[..., Any]:
        return self._made(function, Options(), name)

    def _made(
        self,
        function: Callable[..., Any],
        options: Options,
        name: str | None = None,
    ) -> DefinedTask[..., Any]:
        # A name that may run was looked up by the registry, whatever it leads to.
        if name is None and not inspect.isfunction(function):
            raise ConfigurationError(
                f"{function!r} cannot be a task: expected a function that a module "
                "defines with `def` or `async def`"
            )
        name = name or f"{function.__module__}.{function.__qualname__}"
        kind = AsyncTask if inspect.iscoroutinefunction(function) else Task
        checked = self.check_options(name, options)
        return kind(function, name=name, options=checked, host=self)

    def task_of(self, function: Callable[P, R]) -> DefinedTask[P, R]:
        """Return the task that a function is, decorated or not.

        Raises:
            ConfigurationError: no worker of this application would run it.
        """
        if isinstance(function, DefinedTask):
            return cast("DefinedTask[P, R]", function)
        task = self._plain_task(function)
        if task.name not in self.registry.names() and not self._importable(function):
            raise ConfigurationError(
                f"{task.name}: workers run functions of "
                f"{', '.join(self.registry.packages)} only; move it there, decorate "
                f"it with @app.task, or name it: App(allow=[{task.name!r}])"
            )
        return cast("DefinedTask[P, R]", task)

    def declare(self, queue: Queue) -> None:
        """Take another queue, less urgent than those that are there.

        Raises:
            ConfigurationError: it is none, or one of its name is there.
        """
        if queue.name in self._by_name:
            raise ConfigurationError(f"queue {queue.name!r}: the application has it")
        self.queues = (*self.queues, self._own(queue))
        self._by_name[queue.name] = self.queues[-1]
        self._check()

    def check_options(self, owner: str, options: Options) -> Options:
        """Return the options, or refuse them naming their owner.

        Raises:
            ConfigurationError: naming the option, its value and what is expected.
        """
        return check_options(owner, options, self._by_name)

    def on_worker_start(self, *, queue: str | None = None) -> Callable[[F], F]:
        """Call a function once in each worker, before its first job.

        With `queue` only in workers that serve it: a model is loaded there alone.

        Raises:
            UnknownQueueError: the application declares no such queue.
        """
        check_queue("on_worker_start", queue, self._by_name)

        def remember(function: F) -> F:
            self.start_hooks.append(StartHook(function=function, queue=queue))
            return function

        return remember

    def warm_up(self, queues: Collection[str]) -> None:
        """Do what a process does once that serves these queues, before its first job.

        Raises:
            Exception: what opens a resource, or is called at the start, has raised it.
        """
        self.resources.open(queues)
        for hook in self.start_hooks:
            if hook.queue is None or hook.queue in queues:
                hook.function()

    def subscribe(self, subscriber: Subscriber, *kinds: type[Event]) -> None:
        """Call it with each event of this process, or with those of the kinds."""
        self.events.subscribe(subscriber, *kinds)

    def middleware(self, function: M) -> M:
        """Do this round every job: what is before its `yield`, and what is after.

        Raises:
            ConfigurationError: it is no generator function and no context manager.
        """
        self._middleware.append(middleware.define(function))
        return function

    @overload
    def resource(self, function: Callable[[], Iterator[T]], /) -> Resource[T]: ...

    @overload
    def resource(
        self,
        /,
        *,
        scope: Literal["child"] = "child",
        eager: bool = False,
        queue: str | None = None,
    ) -> Callable[[Callable[[], Iterator[T]]], Resource[T]]: ...

    def resource(
        self,
        function: Callable[[], Iterator[Any]] | None = None,
        /,
        *,
        scope: str = "child",
        eager: bool = False,
        queue: str | None = None,
    ) -> Any:
        """Open something once in each child, for its tasks to share.

        The function opens, yields once and closes. It is called when a task first
        asks, or with `eager` when the child starts; with `queue` as well, only in
        children that serve it: a model is loaded there alone.

        Raises:
            ConfigurationError: the function is none that does so.
            UnknownQueueError: the application declares no such queue.
        """
        check_queue("app.resource", queue, self._by_name)

        def define(function: Callable[[], Iterator[Any]]) -> Resource[Any]:
            made = resource.define(function, scope=scope, eager=eager, queue=queue)
            self.resources.declared.append(made)
            return made

        return define if function is None else define(function)

    # Asking and sending

    @cached_property
    def schedules(self) -> Schedules:
        """Return what is sent by itself, to look at and to change."""
        return Schedules(self)

    def engine_of(self, message: Message[Any]) -> str:
        """Return the engine that serves the queue of a message."""
        return self._queue_of(message).engine or self.engine

    def resolve(self, name: str) -> DefinedTask[Any, Any]:
        """Return a task by its name.

        Raises:
            UnknownTaskError: there is none, or its module does not import.
        """
        return self.registry.resolve(name)

    def seal(self, message: Message[Any]) -> Envelope:
        """Return a message with every question settled, as it would be sent now.

        Raises:
            ConfigurationError: no worker could import its task.
            ArgumentError: it waits for the result of another message.
        """
        refuse_open(message)
        return seal(message, self._settled(message), new_id())

    def send_workflow(
        self, flow: Flow[Any], workflow_id: str | None = None
    ) -> Workflow[Any]:
        """Send the messages of a flow in one step; as `Flow.enqueue`."""
        if workflow_id is not None and not JOB_ID.fullmatch(str(workflow_id)):
            raise ConfigurationError(
                f"workflow_id={workflow_id!r}: expected letters, digits, _ and - only"
            )
        workflow_id = workflow_id or new_id()
        plan = flow.plan(workflow_id, workflow_id)
        backend, envelopes = self._sealed(plan)
        is_new = backend.workflows.send(plan, envelopes)
        if is_new:
            self._tell_of_workflow(envelopes, backend)
        return replace(self._workflow(workflow_id, backend), duplicate=not is_new)

    def grow_workflow(
        self, flow: Flow[Any], workflow_id: str, node: str, lease: tuple[str, str]
    ) -> None:
        """Send more messages for a workflow, asked for by a node that runs."""
        plan = flow.plan(workflow_id, node, behind=node)
        backend, envelopes = self._sealed(plan)
        backend.workflows.grow(plan, envelopes, node, lease)
        self._tell_of_workflow(envelopes, backend)

    def workflow(self, workflow_id: str, *, queue: str | None = None) -> Workflow[Any]:
        """Return the handle of a workflow by its id; it need not exist.

        `queue` tells the engine to ask, where queues have engines of their own.

        Raises:
            UnknownQueueError: the application declares no such queue.
        """
        engine = self.queue(queue).engine if queue else None
        return self._workflow(workflow_id, self.backend(engine))

    def workflows(
        self, kind: WorkflowKind = "open", *, limit: int = 100, queue: str | None = None
    ) -> list[WorkflowLine]:
        """Return the workflows that are open, have failed or have finished.

        Newest first: those open by when they were sent, the others by their end. The
        failed ones have those that were canceled among them. What is gone is left out.

        Raises:
            ConfigurationError: there is no such kind.
            UnknownQueueError: the application declares no such queue.
        """
        if kind not in (kinds := get_args(WorkflowKind)):
            raise ConfigurationError(
                f"workflows({kind!r}): expected one of {', '.join(kinds)}"
            )
        engine = self.queue(queue).engine if queue else None
        return list(self.backend(engine).workflows.page(kind, 0, limit).lines)

    def _workflow(self, workflow_id: str, backend: Backend) -> Workflow[Any]:
        def read(task: str, value: object) -> object:
            result: object = self.registry.resolve(task).signature.read_result(value)
            return result

        return Workflow(
            workflow_id, backend.workflows, partial(self._job, backend), read
        )

    def _sealed(self, plan: Plan) -> tuple[Backend, list[Envelope]]:
        """Return the nodes as they are sent, and the engine whose store keeps them."""
        now = self.clock.now()
        tasks = {node.id: node.message.task for node in plan.nodes}
        envelopes: list[Envelope] = []
        for node in plan.nodes:
            terms = replace(self._settled(node.message, now), workflow=plan.id)
            envelopes.append(seal(node.message, terms, node.id, tasks))
        engines = {self.engine_of(node.message) for node in plan.nodes}
        if len(engines) > 1 and "memory" in engines:
            raise ConfigurationError(
                f"workflow {plan.id}: its queues are served by "
                f"{', '.join(sorted(engines))}, and the memory engine shares with none"
            )
        return self.backend(min(engines, default=self.engine)), envelopes

    def _tell_of_workflow(
        self, envelopes: Sequence[Envelope], backend: Backend
    ) -> None:
        if self.events.wants(JobEnqueued):
            jobs = [self._job(backend, envelope.id) for envelope in envelopes]
            self._tell([envelope.terms for envelope in envelopes], jobs)

    def queue(self, name: str) -> Queue:
        """Return a queue by its name.

        Raises:
            UnknownQueueError: the application declares no such queue.
        """
        check_queue("the application", name, self._by_name)
        return self._by_name[name]

    def job(self, job_id: str, *, queue: str | None = None) -> Job[Any]:
        """Return the handle of a job by its id; it need not exist.

        `queue` tells the engine to ask, where queues have engines of their own.

        Raises:
            UnknownQueueError: the application declares no such queue.
        """
        engine = self.queue(queue).engine if queue else None
        return self._job(self.backend(engine), job_id)

    def _job(self, backend: Backend, job_id: str) -> Job[Any]:
        def read(result: object) -> Any:  # noqa: ANN401 - unknown until it is read
            name = backend.info(job_id).task
            return self.registry.resolve(name).signature.read_result(result)

        return Job(job_id, backend, read)

    def enqueue_many(self, messages: Sequence[Message[R]]) -> list[Job[R]]:
        """Send many messages in one round trip to each engine.

        Raises:
            EnqueueError: a store did not confirm; says whether it may have.
            DuplicateJobError: a unique job is there, and its task asks to hear.
        """
        return self.send(messages)

    def send(self, messages: Sequence[Message[Any]]) -> list[Job[Any]]:
        """Send messages; what `Task.enqueue` and `enqueue_many` come down to."""
        now = self.clock.now()
        for message in messages:
            refuse_open(message)
        terms = [self._settled(message, now) for message in messages]
        ids = ids_for(messages)
        jobs: dict[int, Job[Any]] = {}
        for engine, places in self._by_engine(terms).items():
            backend = self.backend(engine)
            refused = backend.enqueue(_part(messages, terms, ids, places))
            for number, place in enumerate(places):
                other = refused.get(number)
                read = messages[place].signature.read_result
                jobs[place] = Job(other or ids[place], backend, read, other is not None)
        sent = [jobs[place] for place in range(len(messages))]
        return self._told(terms, ids, sent)

    def send_one(self, message: Message[Any]) -> Job[Any]:
        """Send a message; as `send`, which takes longer to begin than to send one."""
        refuse_open(message)
        terms = self._settled(message)
        envelope = seal(message, terms, new_id())
        backend = self.backend(self._by_name[terms.queue].engine)
        other = backend.enqueue((envelope,)).get(0)
        read = message.signature.read_result
        if other is None and not self.events.wants(JobEnqueued):
            return Job(envelope.id, backend, read)
        job: Job[Any] = Job(other or envelope.id, backend, read, other is not None)
        return self._told([terms], [envelope.id], [job])[0]

    def _told(
        self, terms: Sequence[Terms], ids: Sequence[str], sent: list[Job[Any]]
    ) -> list[Job[Any]]:
        """Return the jobs, told of to whoever listens; some may be refused."""
        if self.events.wants(JobEnqueued):
            self._tell(terms, sent)
        # Last, since the others are sent, and told of.
        self._refuse_duplicates(terms, ids, sent)
        return sent

    def _settled(self, message: Message[Any], now: datetime | None = None) -> Terms:
        # A task's calls share its options, and nearly always the terms as well.
        options = message.options
        known = self._terms.get(id(options))
        if known and known[0] is options and known[1].task == message.task:
            return known[1]
        queue = self._queue_of(message)
        if (engine := queue.engine or self.engine) != "memory":
            self._refuse_unreachable(message.task)
        if options.get("at_front"):
            can = self.backend(engine).capabilities
            said = f"{message.task}: at_front=True, queue {queue.name!r}"
            capabilities.refuse(said, Capability.AT_FRONT, engine, can)
        now = now or self.clock.now()
        terms = settle(message, queue=queue.name, timeout=queue.timeout, now=now)
        if terms.are_lasting:
            if len(self._terms) >= TERMS:
                self._terms.clear()
            self._terms[id(options)] = (options, terms)
        return terms

    def _queue_of(self, message: Message[Any]) -> Queue:
        name = message.options.get("queue")
        if name is None:
            return self._by_name.get("default", self.queues[0])
        return self._by_name[name]

    def _by_engine(self, terms: Sequence[Terms]) -> dict[str, list[int]]:
        """Return the places of the messages that each engine is to be sent."""
        places: dict[str, list[int]] = {}
        for place, settled in enumerate(terms):
            engine = self._by_name[settled.queue].engine or self.engine
            places.setdefault(engine, []).append(place)
        return places

    def _tell(self, terms: Sequence[Terms], sent: Sequence[Job[Any]]) -> None:
        for settled, job in zip(terms, sent, strict=True):
            self.events.emit(
                JobEnqueued(
                    job_id=job.id,
                    task=settled.task,
                    queue=settled.queue,
                    duplicate=job.duplicate,
                )
            )

    def _refuse_duplicates(
        self, terms: Sequence[Terms], ids: Sequence[str], sent: Sequence[Job[Any]]
    ) -> None:
        for settled, job_id, job in zip(terms, ids, sent, strict=True):
            # A job in the way of itself was sent twice by a client that reconnected.
            if not job.duplicate or job.id == job_id:
                continue
            unique = settled.unique
            if unique and unique.on_duplicate == "raise":
                raise DuplicateJobError(
                    f"{settled.task}: job {job.id} holds the unique key "
                    f"{unique.key!r}; wait for its end, or ask for its handle: "
                    "on_duplicate='existing'"
                )

    def _refuse_unreachable(self, name: str) -> None:
        # "<locals>", "<lambda>"
        if "<" in name or name.startswith("__main__."):
            raise ConfigurationError(
                f"{name} cannot be sent: a worker could not import it. Define the "
                "function at the top level of a module that is not started as a script"
            )

    def _importable(self, function: Callable[..., Any]) -> bool:
        at_top_level = "." not in function.__qualname__
        name = f"{function.__module__}.{function.__qualname__}"
        covered = at_top_level and self.registry.covers(function.__module__)
        return covered or self.registry.allows(name)

    # Engines

    def backend(self, engine: str | None = None) -> Backend:
        """Return the adapter of an engine; the application's own without a name.

        Raises:
            ConfigurationError: the engine lacks an address.
        """
        engine = engine or self.engine
        if engine not in self._backends:
            context = backends.Context(
                settings=Settings.from_environment(),
                clock=self.clock,
                attempt=self.attempt(),
                is_task=self.registry.is_task,
                resolve=self.registry.resolve,
                redis_url=self._redis_url,
                signer=lambda: self.signer,
            )
            # Two threads may come here at once, and must get the same one.
            self._backends.setdefault(engine, backends.create(engine, context))
        return self._backends[engine]

    @contextlib.contextmanager
    def using_engine(self, engine: str) -> Generator[Backend]:
        """Serve all queues by another engine for a while, as tests do."""
        saved = (self.engine, self.queues, self._by_name, self._backends)
        self.engine, self._backends = engine, {}
        self._terms.clear()
        self.queues = tuple(replace(queue, engine=None) for queue in self.queues)
        self._by_name = {queue.name: queue for queue in self.queues}
        try:
            yield self.backend()
        finally:
            self.close()
            self.engine, self.queues, self._by_name, self._backends = saved
            self._terms.clear()

    def close(self) -> None:
        """Give back all connections and resources; they are made again when needed."""
        for backend in self._backends.values():
            backend.close()
        self._backends.clear()
        self.resources.close()

    def delivered(
        self,
        task: DefinedTask[Any, Any],
        args: Sequence[object],
        kwargs: dict[str, Any],
    ) -> Delivered | None:
        """Run a call as a job if an engine's worker makes it, as `Task` asks."""
        return backends.delivered(self.attempt, task, args, kwargs)

    def attempt(self) -> Attempt:
        """Return what runs this application's jobs, for a worker or an engine."""
        return Attempt(
            events=self.events,
            clock=self.clock,
            resources=self.resources,
            middleware=self._middleware,
        )


def _part(
    messages: Sequence[Message[Any]],
    terms: Sequence[Terms],
    ids: Sequence[str],
    places: Sequence[int],
) -> Sealed:
    """Return those of the messages that stand in these places."""
    if len(places) == len(messages):
        return Sealed(messages, terms, ids)
    return Sealed(
        [messages[place] for place in places],
        [terms[place] for place in places],
        [ids[place] for place in places],
    )


def load_app(path: str) -> App:
    """Import the application that `module:attribute` names.

    Raises:
        ConfigurationError: the module or the attribute is not there, or is no App.
    """
    module_name, _, attribute = path.partition(":")
    try:
        module = importlib.import_module(module_name)
    except HeadwayError:
        raise
    except Exception as error:
        if _is_not_there(module_name, error):
            raise ConfigurationError(
                f"HEADWAY_APP={path!r}: {module_name} cannot be imported from "
                f"{Path.cwd()}: {error}. Start in the folder that holds it, or set "
                "HEADWAY_APP=module:attribute"
            ) from error
        raise ConfigurationError(
            f"HEADWAY_APP={path!r}: importing {module_name} raises "
            f"{type(error).__name__}: {error} ({_place_of(error)})"
        ) from error
    found = getattr(module, attribute, None)
    if isinstance(found, HoldsApp):
        found = found.loaded_app()
    if not isinstance(found, App):
        raise ConfigurationError(
            f"HEADWAY_APP={path!r}: {module_name}.{attribute} is "
            f"{'missing' if found is None else type(found).__name__}, expected an App: "
            "set HEADWAY_APP=module:attribute"
        )
    return found


def _is_not_there(module_name: str, error: Exception) -> bool:
    """Tell whether that module is missing, and not one that it imports."""
    if not isinstance(error, ModuleNotFoundError):
        return False
    return f"{module_name}.".startswith(f"{error.name}.")


def _place_of(error: Exception) -> str:
    """Return the file and the line at which it was raised, or is; not one of ours."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}, line {error.lineno}"
    frames = traceback.extract_tb(error.__traceback__)
    ours = str(Path(__file__).parent)
    last = next(each for each in reversed(frames) if not each.filename.startswith(ours))
    return f"{last.filename}, line {last.lineno}"
