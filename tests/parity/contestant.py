"""The workers that are compared, each as the command that starts it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
QUEUES = ("high", "default", "low")
DEADLINE = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A command that starts a worker."""

    name: str
    command: tuple[str, ...]
    #: RQ's channels reach across databases: each worker has a name of its own.
    worker: str
    #: RQ's own command has to be told the address and the serializer.
    of_rq: bool = True

    def argv(self, url: str, serializer: str, *options: str) -> list[str]:
        program = Path(sys.executable).with_name(self.command[0])
        said = ["-u", url, "-S", serializer] if self.of_rq else []
        rest = [*self.command[1:], *said, "--name", self.worker, *options, *QUEUES]
        return [str(program), *rest]

    def work(
        self,
        url: str,
        serializer: str,
        *options: str,
        env: Mapping[str, str] | None = None,
    ) -> None:
        """Run the command to its end."""
        done = subprocess.run(
            self.argv(url, serializer, *options),
            env=environment(url) | dict(env or {}),
            cwd=HERE,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr


STOCK = Contestant(name="stock", command=("rq", "worker"), worker="parity-stock")
OURS_IN_RQ = Contestant(
    name="rq worker -w",
    command=("rq", "worker", "-w", "headway.Worker"),
    worker="parity-rq",
)
OURS = Contestant(
    name="headway worker",
    command=("headway", "worker"),
    worker="parity-ours",
    of_rq=False,
)


def environment(url: str) -> dict[str, str]:
    """Return what a worker of the suite is told."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("REDIS", "RQ_", "HEADWAY_", "LOG_", "SENTRY", "OTEL"))
    }
    return kept | {
        "REDIS_URL": url,
        "HEADWAY_APP": "parity_app:app",
        "HEADWAY_CHILDREN": "1",
        "PYTHONPATH": os.pathsep.join([str(HERE / "sample"), str(ROOT / "src")]),
    }


def rq_command(*arguments: str, env: Mapping[str, str] | None = None) -> str:
    """Run `rq` with these arguments; return what it says."""
    program = Path(sys.executable).with_name("rq")
    done = subprocess.run(
        [str(program), *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
