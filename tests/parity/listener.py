"""A real HTTP server that notes what webhooks bring."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from tests.parity.snapshot import own_frames

TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00")


class Listener:
    """Answers every request with success."""

    def __init__(self) -> None:
        self._heard: list[tuple[str, str, str]] = []
        noted = self._heard

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                kept = {
                    name: self.headers[name]
                    for name in ("Content-Type", "X-Parity")
                    if name in self.headers
                }
                noted.append((self.path, f"{self.command} {kept}", body.decode()))
                self.send_response(204)
                self.end_headers()

            do_POST = do_GET  # noqa: N815 - the library's name

            def log_message(self, *_what: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def heard(self, level: Callable[[str], str]) -> dict[str, str]:
        """Return the requests by path, in the order in which they came."""
        found: dict[str, str] = {}
        for number, (path, how, body) in enumerate(sorted(self._heard)):
            said = TIME.sub("<time>", _own_frames(body))
            found[f"webhook {number} {path}"] = level(f"{how} {said}")
        return found


def _own_frames(body: str) -> str:
    """Return a body whose traceback tells of the job alone."""
    if not body.startswith("{"):
        return body
    told = json.loads(body)
    if told.get("exc_info"):
        told["exc_info"] = own_frames(told["exc_info"])
    return json.dumps(told)
