from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from headway.embedded.folder import password, write_private
from headway.embedded.port import HOST, choose, exchange
from headway.embedded.server import Server, package, program

# The first compiler alone and the serial collector halve the time to start and
# the memory; a development graph never earns back what the others cost.
_OPTIONS = """\
-Xmx384m
-XX:TieredStopAtLevel=1
-XX:+UseSerialGC
-XX:+UseCompactObjectHeaders
-XX:-UsePerfData
-XX:ErrorFile="{folder}/crash-%p.log"
--add-modules=jdk.incubator.vector
--enable-native-access=ALL-UNNAMED
--add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED
--add-opens=java.base/java.nio.channels.spi=ALL-UNNAMED
--add-opens=java.base/java.lang=ALL-UNNAMED
-Djava.awt.headless=true
-Djava.io.tmpdir="{folder}"
-Dfile.encoding=UTF8
-Dpolyglot.engine.WarnInterpreterOnly=false
-Darcadedb.server.mode=production
-Darcadedb.serverMetrics=false
-Darcadedb.server.rootPath="{folder}"
-Darcadedb.server.rootPasswordPath="{folder}/password"
-Darcadedb.server.defaultDatabases=neo4j[]
-Darcadedb.server.httpIncomingHost={host}
-Darcadedb.server.httpIncomingPort={http_port}
-Darcadedb.server.plugins=Bolt:com.arcadedb.bolt.BoltProtocolPlugin
-Darcadedb.bolt.host={host}
-Darcadedb.bolt.port={port}
-cp "{jars}/*"
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bolt(Server):
    """ArcadeDB, a Bolt-compatible graph database, run by the Java of its package.

    Its Python binding would start the Java machine inside a Python process; run
    by itself it needs half the memory and stops eight times as fast.
    """

    #: It insists on a second port, for HTTP, which tells when it is ready.
    http_port: int = field(default_factory=lambda: choose("bolt"))
    name: ClassVar = "bolt"
    stop_signal: ClassVar = signal.SIGTERM

    def prepare(self) -> None:
        """Write the options of its Java machine."""
        password(self.folder)
        text = _OPTIONS.format(
            folder=_quoted(self.folder),
            host=HOST,
            http_port=self.http_port,
            port=self.port,
            jars=_quoted(package("arcadedb_embedded") / "jars"),
        )
        write_private(self.folder / "java.options", text)

    def command(self) -> list[str]:
        """Return the command line that runs it in the foreground."""
        java = program(package("arcadedb_embedded") / "jre" / "bin" / "java")
        options = self.folder / "java.options"
        return [java, f"@{options}", "com.arcadedb.server.ArcadeDBServer"]

    def is_ready(self, pid: int) -> bool:  # noqa: ARG002 - answers on its own port
        """Tell whether its databases are open: the Bolt port opens before that."""
        asked = b"GET /api/v1/ready HTTP/1.0\r\nConnection: close\r\n\r\n"
        return b" 204 " in exchange(self.http_port, asked)[:20]

    def environment(self) -> dict[str, str]:
        """Return what an application sets to use it."""
        return {
            "NEO4J_URI": f"bolt://{HOST}:{self.port}",
            "NEO4J_USERNAME": "root",
            "NEO4J_PASSWORD": password(self.folder),
        }


def _quoted(path: Path) -> str:
    """Return the path as it stands between quotes in a file of Java options."""
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
