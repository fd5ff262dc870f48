"""Writes the pages of docs/reference/ that only repeat what the code says.

Run by `scripts/docs`; with `--check` nothing is written, and the exit code is 1 where
a page is not what it would be.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import click

from headway import errors, events
from headway.backend import Capability
from headway.backends.capabilities import CAPABILITIES
from headway.cli import main as headway
from headway.settings import REDIS_NAMES, Settings

#: As on a terminal of that width, wherever the page is made.
WIDTH = 88


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A variable of the environment, as docs/reference/settings.md shows it."""

    name: str
    default: str = ""
    meaning: str


def settings_variables() -> tuple[Variable, ...]:
    """Return what `Settings` reads, with the defaults that it has."""
    usual = Settings()
    first, *others = REDIS_NAMES
    return (
        Variable(
            name=first,
            meaning="Redis or Valkey: `redis://`, `rediss://` or `unix://`. "
            f"{', '.join(f'`{name}`' for name in others)} are read, too; the first "
            "that is set counts.",
        ),
        Variable(
            name="HEADWAY_APP",
            default=usual.app,
            meaning="The application, as `module:attribute`.",
        ),
        Variable(
            name="HEADWAY_DATA",
            default=str(usual.data),
            meaning="The folder of the embedded development servers.",
        ),
        Variable(
            name="HEADWAY_HOST",
            default="",
            meaning="What this machine is called where a job tells which worker it has "
            "ended; else its own name. Workers of one machine see at once which of "
            "them has died.",
        ),
        Variable(
            name="HEADWAY_GRACE",
            default=f"{usual.grace.total_seconds():g}",
            meaning="Seconds that running jobs have when a worker is told to stop; "
            "what is longer goes back to its queue. `headway up` waits for 5 more "
            "before it kills.",
        ),
        *_of_engines(),
        Variable(
            name="PORT",
            default=str(usual.port),
            meaning="The port of the dashboard.",
        ),
        Variable(
            name="HEADWAY_DASHBOARD_HOST",
            default=usual.dashboard_host,
            meaning="The address on which it listens. On any but this machine's own, "
            "people must sign in.",
        ),
        Variable(
            name="HEADWAY_DASHBOARD_USERS",
            default=usual.dashboard_users,
            meaning="Who may sign in: `name:password`, or `name:password:view` for "
            "somebody who may only look; commas between.",
        ),
        Variable(
            name="HEADWAY_SECRET",
            meaning="Signs the cookie of the dashboard's sign-in, and jobs under "
            "`App(signed=True)`: 16 characters or more, the same in every process.",
        ),
        Variable(
            name="LOG_LEVEL",
            default=usual.log_level,
            meaning="`DEBUG`, `INFO`, `WARNING`, `ERROR` or `CRITICAL`.",
        ),
        Variable(
            name="LOG_FORMAT",
            default=usual.log_format,
            meaning="`text` for people, `json` for machines: one object a line.",
        ),
        *_of_workers(),
    )


def _of_engines() -> Iterator[Variable]:
    yield Variable(
        name="HEADWAY_ENGINE",
        meaning="The engine of all queues that name none of their own: `rq`, `celery`, "
        "`dramatiq` or `arq`. It wins over `App(engine=...)`.",
    )
    yield Variable(
        name="HEADWAY_BROKER_URL",
        meaning="RabbitMQ (`amqp://user:password@host:5672/vhost`), where Celery or "
        "Dramatiq is to keep its messages; else they are in Redis.",
    )
    yield Variable(
        name="HEADWAY_ARQ_PYTHON",
        meaning="The Python of an environment that has arq, with which `headway "
        "worker` runs Arq's worker where its own has none.",
    )
    yield Variable(
        name="HEADWAY_LEASE",
        default=f"{Settings().lease.total_seconds():g}",
        meaning="Seconds for which the jobs of a host that is lost are waited for, in "
        "workers of other engines; `headway worker` has `--lease`.",
    )


def _of_workers() -> Iterator[Variable]:
    yield Variable(
        name="HEADWAY_CHILDREN",
        meaning="How many children a worker has, also under `rq worker`. "
        "`--children` wins.",
    )
    yield Variable(
        name="WEB_CONCURRENCY",
        meaning="The same, as a platform says it: heeded by `headway worker` where "
        "nothing else is said. Otherwise it has one child per core.",
    )
    yield Variable(
        name="HEADWAY_DEVICES",
        meaning="The GPUs to use, by numbers or UUIDs of `nvidia-smi -L`, commas "
        "between. Nothing is looked for then.",
    )
    yield Variable(
        name="CUDA_VISIBLE_DEVICES",
        meaning="CUDA's own. Where a worker is given it, it uses no other GPU; its "
        "numbers are `nvidia-smi`'s here.",
    )


#: What is read elsewhere in the library.
OTHERS = (
    Variable(
        name="RQ_KEY_PREFIX",
        default="rq",
        meaning="What RQ's keys begin with, where applications share one Redis. "
        "RQ's own variable; the same in every process.",
    ),
    Variable(
        name="NO_COLOR",
        meaning="Set to anything: `headway up` prints without colours.",
    ),
)

#: What the reference application in this repository reads, and the library does not.
OF_THE_APPLICATION = (
    Variable(name="DATABASE_URL", meaning="Postgres with pgvector."),
    Variable(name="NEO4J_URI", meaning="A Bolt address, of Neo4j or compatible."),
    Variable(name="NEO4J_USERNAME", meaning="Its user."),
    Variable(name="NEO4J_PASSWORD", meaning="Its password."),
    Variable(
        name="HEADWAY_EMBEDDER",
        default="lexical",
        meaning="`lexical`, or `minilm` for a real model (`scripts/setup minilm`).",
    ),
    Variable(
        name="OPENAI_BASE_URL",
        meaning="An OpenAI-compatible endpoint that writes summaries.",
    ),
    Variable(name="OPENAI_API_KEY", meaning="Its key."),
    Variable(name="OPENAI_MODEL", meaning="The model to ask it for."),
)


def _cli() -> Iterator[str]:
    yield "# Commands\n"
    yield (
        "Each command reads `.env` of the current folder, puts that folder on Python's "
        "path, and takes its [settings](settings.md) from the environment. What the "
        "caller can mend ends with one line and exit code 2.\n"
    )
    yield from _help(headway, "headway", None)


def _help(
    command: click.Command, path: str, parent: click.Context | None
) -> Iterator[str]:
    name = path.rsplit(" ", 1)[-1]
    context = click.Context(
        command, info_name=name, parent=parent, terminal_width=WIDTH
    )
    yield f"## {path}\n\n```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            child = command.get_command(context, each)
            if child is not None:
                yield from _help(child, f"{path} {each}", context)


def _settings() -> Iterator[str]:
    yield "# Settings\n"
    yield (
        "Settings come from the environment. The `headway` commands read `.env` of the "
        "current folder first; a variable of the real environment wins. They are "
        "checked at the start, and all mistakes are reported together.\n"
    )
    yield from _table("Headway", settings_variables())
    yield from _table("Single parts of Headway", OTHERS)
    yield from _table("The reference application", OF_THE_APPLICATION)
    yield (
        "Without `REDIS_URL`, `headway up` and `scripts/run` start an embedded server, "
        "and say so. The other commands, and code of yours that enqueues from the same "
        "folder, use that server while it is up; otherwise they refuse.\n"
    )


def _table(title: str, variables: tuple[Variable, ...]) -> Iterator[str]:
    yield f"## {title}\n\n| variable | default | meaning |\n|---|---|---|"
    for each in variables:
        default = f"`{each.default}`" if each.default else ""
        yield f"| `{each.name}` | {default} | {each.meaning} |"
    yield ""


def _errors() -> Iterator[str]:
    story = inspect.getdoc(errors) or ""
    tree = story.partition("\n\n")[2]
    yield "# Errors\n"
    yield (
        "Everything that Headway raises on purpose is in `headway.errors`. Catch "
        "`HeadwayError` to catch all of it. Each message names the thing, its value "
        "and the way out.\n"
    )
    yield f"```text\n{tree}\n```\n\n| class | when |\n|---|---|"
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if issubclass(kind, errors.HeadwayError):
            yield f"| `{name}` | {_sentence(kind)} |"
    yield "\n`JobFailedError` has one attribute more: `traceback`, the text of the"
    yield "traceback in the worker.\n"


def _events() -> Iterator[str]:
    yield "# Events\n"
    yield (
        "An event is a transition that happened. Subscribers are called in the process "
        "in which it happened: `JobEnqueued` where `enqueue` was called, the others "
        "where the job runs. A subscriber that raises is logged; it changes nothing "
        "for the job.\n"
    )
    yield (
        "```python\n# queues.py\nfrom headway import App, Queue\n"
        "from headway.events import Event\n\n"
        'app = App(queues=[Queue("default")], tasks="tasks")\n\n\n'
        "def count(event: Event) -> None:\n"
        "    print(type(event).__name__, event.named_fields())\n\n\n"
        "app.subscribe(count)\n```\n"
    )
    yield (
        "`app.subscribe(count, JobFailed, JobRetried)` hears of those alone, and what "
        "nobody wants to hear of costs nothing.\n"
    )
    yield "Every event has `job_id`, `task` and `queue`.\n"
    yield "| class in `headway.events` | when | also says |\n|---|---|---|"
    common = {field.name for field in fields(events.Event)}
    for _, kind in inspect.getmembers(events, _is_transition):
        own = [field.name for field in fields(kind) if field.name not in common]
        named = ", ".join(f"`{name}`" for name in own)
        yield f"| `{kind.__name__}` | {_sentence(kind)} | {named} |"
    yield "\n`headway worker` writes a log line for each, under `headway.job`.\n"


def _is_transition(found: object) -> bool:
    return (
        isinstance(found, type)
        and issubclass(found, events.Event)
        and found is not events.Event
    )


def _sentence(kind: type) -> str:
    return (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")


def _engines() -> Iterator[str]:
    yield "# Engines\n"
    yield (
        "What each engine can do, with the broker that carries its messages: Redis, if "
        "nothing is said. What an engine has no flag for is refused when it is defined "
        "or sent, with `CapabilityError`. [How to choose and change "
        "one](../how-to/engines.md).\n"
    )
    cells = list(CAPABILITIES)
    names = [f"{engine}<br>{broker}" if broker else engine for engine, broker in cells]
    yield f"| flag | is | {' | '.join(names)} |"
    yield f"|---|---|{'---|' * len(cells)}"
    for flag in Capability:
        marks = ["yes" if flag in CAPABILITIES[cell] else "no" for cell in cells]
        yield f"| `{flag.value}` | {MEANINGS[flag]} | {' | '.join(marks)} |"
    yield (
        "\nEverything else is the same on all of them: arguments and results, retries, "
        "timeouts that are raised into the task, expiry, delays, repeats, schedules, "
        "bulk, workflows, checkpoints, `commit`, the current job, resources, "
        "middleware. `./scripts/test contract` runs one suite on each, with the "
        "engine's own worker, and prints which passes what.\n"
    )


#: What stands beside each flag; a flag without words stops the build of the page.
MEANINGS = {
    Capability.DELAY: "begin a job later, or at a time",
    Capability.UNIQUE: "at most one job of a key at a time",
    Capability.AT_FRONT: "`at_front=True`: in front of all that wait",
    Capability.QUEUE_ORDER: "one worker serves queues in their order of urgency",
    Capability.STOP_RUNNING: "`job.cancel()` stops a job that runs",
    Capability.HARD_TIMEOUT: "a job that overstays in code that does not return is "
    "killed",
    Capability.PROGRESS: "`current_job().progress(...)`, `job.progress`",
    Capability.RECOVERY: "the job of a worker that was killed runs again",
    Capability.DEVICE: '`Queue(device="cuda")`: each child has a GPU of its own',
}

PAGES = {
    "cli": _cli,
    "engines": _engines,
    "settings": _settings,
    "errors": _errors,
    "events": _events,
}
NOTE = "<!-- Made by scripts/docs from the code; do not edit. -->"


def pages() -> dict[str, str]:
    """Return what each generated page should hold, by its file name."""
    return {
        f"{name}.md": "\n".join([NOTE, "", *write()]).rstrip() + "\n"
        for name, write in PAGES.items()
    }


@click.command()
@click.option("--check", is_flag=True, help="Write nothing; exit 1 on a difference.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default="docs/reference",
    show_default=True,
)
def reference(*, check: bool, folder: Path) -> None:
    """Write the reference pages that are made from the code."""
    differing = 0
    for name, text in pages().items():
        page = folder / name
        if page.is_file() and page.read_text(encoding="utf-8") == text:
            continue
        differing += 1
        click.echo(f"{page}: {'differs: run scripts/docs' if check else 'written'}")
        if not check:
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text(text, encoding="utf-8")
    raise SystemExit(check and differing > 0)


if __name__ == "__main__":
    reference()
