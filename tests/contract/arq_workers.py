"""Arq's workers, which a process of their own environment forks for this one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from datetime import timedelta
from pathlib import Path

from tests.conftest import ROOT, SAMPLE

PYTHON = ROOT / ".venv-arq" / "bin" / "python"
ZYGOTE = Path(__file__).with_name("zygote.py")
BETWEEN_LOOKS = 0.01


class Zygote:
    """The process that forks them."""

    def __init__(self) -> None:
        assert PYTHON.exists(), "no environment for arq; type: scripts/setup arq"
        path = os.pathsep.join(map(str, [ROOT / "src", ROOT, SAMPLE]))
        self._process = subprocess.Popen(
            [PYTHON, ZYGOTE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": path},
        )

    def fork(self, said: Path, shift: timedelta) -> ArqWorker:
        """Have a worker serve what the environment of this process names."""
        pid = self.ask(
            said=str(said), shift=shift.total_seconds(), environment=dict(os.environ)
        )
        return ArqWorker(self, pid)

    def ask(self, **asked: object) -> int | None:
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        with self._process:
            self._process.stdin.close()


class ArqWorker:
    """One of them, as far as it is asked what `multiprocessing` can tell of others."""

    def __init__(self, zygote: Zygote, pid: int) -> None:
        self.pid, self.exitcode, self._zygote = pid, None, zygote

    def is_alive(self) -> bool:
        if self.exitcode is None:
            self.exitcode = self._zygote.ask(pid=self.pid)
        return self.exitcode is None

    def terminate(self) -> None:
        os.kill(self.pid, signal.SIGTERM)

    def join(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self.is_alive() and time.monotonic() < deadline:
            time.sleep(BETWEEN_LOOKS)
