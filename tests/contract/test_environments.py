"""What arq's worker runs in: redis-py below 6, in an environment of its own."""

from __future__ import annotations

import json
import subprocess

from tests.conftest import ROOT

ARQ = ROOT / ".venv-arq" / "bin" / "python"


def test_the_environment_of_arq_holds_together():
    checked = subprocess.run(
        [ARQ, "-m", "pip", "check"], capture_output=True, check=False
    )
    assert checked.returncode == 0, checked.stdout.decode()


def test_arq_and_headway_are_imported_beside_an_older_redis():
    code = (
        "import arq, headway, json, redis; from headway.worker import Worker;"
        "print(json.dumps([arq.__version__, redis.__version__]))"
    )
    shown = subprocess.run([ARQ, "-c", code], capture_output=True, check=True)
    arq, redis = json.loads(shown.stdout)
    assert arq.startswith("0.")
    assert redis.startswith("5.")
