"""Arq's workers, forked in the environment that has a redis-py for them.

Started by `.venv-arq/bin/python` with all imported that takes time. Each line of its
input asks for something, in JSON, and each line of its output answers.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import traceback
from datetime import timedelta
from typing import Any, NoReturn

import arq.worker  # noqa: F401 - so that what is forked has it already

from headway import load_app
from tests.contract.engines import QUEUES, ShiftedClock, be_alone


def main() -> None:
    for line in sys.stdin:
        asked = json.loads(line)
        answer = _started(asked) if "environment" in asked else _ended(asked["pid"])
        print(json.dumps(answer), flush=True)


def _started(asked: dict[str, Any]) -> int:
    if (pid := os.fork()) == 0:
        _serve(asked)
    return pid


def _ended(pid: int) -> int | None:
    found, status = os.waitpid(pid, os.WNOHANG)
    return os.waitstatus_to_exitcode(status) if found else None


def _serve(asked: dict[str, Any]) -> NoReturn:
    code = 1
    try:
        be_alone(asked["said"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        load_app(os.environ["HEADWAY_APP"]).clock = ShiftedClock(
            timedelta(seconds=asked["shift"])
        )
        sys.argv = ["arq", *QUEUES, "--max-jobs", "1"]
        importlib.import_module("headway.engines.arq").main()
        code = 0
    except BaseException:  # noqa: BLE001 - of a fork, whose parent is to live on
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
