"""A RabbitMQ of the suite's own: on free ports, in folders of its own."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import amqp

from headway.embedded import port

DEADLINE = 60
#: How the names of Celery's queues begin, and those of Dramatiq.
PREFIXES = ("", "headway.dramatiq.")
#: Debian's wrapper in /usr/sbin goes to another user first; this is what it starts.
DEBIAN = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
#: All that was started ends with our end of the pipe, however this process dies.
UNTIL_THE_PIPE_CLOSES = 'epmd -port "$ERL_EPMD_PORT" & "$0" & cat; kill -9 0'


class RabbitMQ:
    """One node without plugins."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self._folder, self._options = folder, options
        names = ("rabbitmq", "its clustering", "epmd")
        # Not of those for outgoing connections: who waits for it would take its port.
        self._node, self._dist, self._epmd = map(port.choose, names)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self._node}//"

    @property
    def log(self) -> str:
        """What it has said so far."""
        return (self._folder / "headway@localhost.log").read_text()

    def start(self) -> None:
        (self._folder / "enabled_plugins").write_text("[].\n")
        (self._folder / "rabbitmq.conf").touch()  # in place of the machine's own
        with (self._folder / "out").open("wb") as out:
            self._process = subprocess.Popen(
                ["sh", "-c", UNTIL_THE_PIPE_CLOSES, _program()],
                env=os.environ | self._environment(),
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._wait()

    def stop(self) -> None:
        if self._process and self._process.stdin:
            self._process.stdin.close()
            # A worker that was forked from here has the pipe open as well.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(DEADLINE)

    def _environment(self) -> dict[str, str]:
        folder = str(self._folder)
        return {
            "HOME": folder,  # of the cookie
            "ERL_EPMD_PORT": str(self._epmd),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "headway@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self._node),
            "RABBITMQ_DIST_PORT": str(self._dist),
            "RABBITMQ_MNESIA_BASE": folder,
            "RABBITMQ_LOG_BASE": folder,
            "RABBITMQ_PID_FILE": f"{folder}/pid",
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "RABBITMQ_CONFIG_FILE": f"{folder}/rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{folder}/enabled_plugins",
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": f"+sbwt none +S 2:2 {self._options}",
        }

    def _wait(self) -> None:
        deadline = time.monotonic() + DEADLINE
        while not self._answers():
            if time.monotonic() > deadline:
                self.stop()
                said = (self._folder / "out").read_text()
                raise AssertionError(f"RabbitMQ does not answer:\n{said}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError, amqp.AMQPError):
            address = f"127.0.0.1:{self._node}"
            with amqp.Connection(address, connect_timeout=1, read_timeout=5):
                return True
        return False


def emptied(url: str, queues: Sequence[str]) -> None:
    """Take what is left in queues, where there are such, as each engine calls them."""
    where = urlsplit(url)
    for queue in [prefix + queue for queue in queues for prefix in PREFIXES]:
        with (
            contextlib.suppress(amqp.NotFound),
            amqp.Connection(f"{where.hostname}:{where.port}") as connection,
        ):
            connection.channel().queue_purge(queue)


def _program() -> str:
    found = str(DEBIAN) if DEBIAN.exists() else shutil.which("rabbitmq-server")
    assert found, "no RabbitMQ; on Debian type: apt-get install -y rabbitmq-server"
    return found
