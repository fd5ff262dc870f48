"""A network between workers and their store that can be cut, held or torn."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Literal

from headway.embedded.port import HOST

#: "cut": nobody gets through, and all hear of it. "held": nobody gets through, and
#: nobody hears of it, nor will on a connection of that time: the other end is gone.
#: "torn": the next that is said in each direction is cut off in its midst.
State = Literal["open", "cut", "held", "torn"]
_CHUNK = 65_536


class Proxy:
    """Forwards connections to a port of this machine."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._listener = socket.create_server((HOST, 0))
        self.url = f"redis://{HOST}:{self._listener.getsockname()[1]}/0"
        self._pairs: set[_Pair] = set()
        self._state: State = "open"
        threading.Thread(target=self._accept, daemon=True).start()

    def turn(self, state: State) -> None:
        """Become like that, for the connections that there are and those to come."""
        self._state = state
        for pair in list(self._pairs):
            pair.turn(state)

    def close(self) -> None:
        """End it and its connections."""
        self._listener.close()
        self.turn("cut")

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:  # it was closed
                return
            if self._state == "cut":
                near.close()
                continue
            try:
                far = socket.create_connection((HOST, self._port))
            except OSError:
                near.close()
                continue
            self._pairs.add(_Pair(near, far, self._state))


class _Pair:
    """One connection through the proxy."""

    def __init__(self, near: socket.socket, far: socket.socket, state: State) -> None:
        self._sockets = (near, far)
        self._state = state
        for source, sink in ((near, far), (far, near)):
            threading.Thread(
                target=self._forward, args=(source, sink), daemon=True
            ).start()

    def turn(self, state: State) -> None:
        if self._state == "held":
            return  # it never comes back, whatever the network does
        self._state = state
        if state == "cut":
            self._close()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while chunk := source.recv(_CHUNK):
                if self._state == "held":
                    continue
                if self._state == "torn":
                    sink.sendall(chunk[: len(chunk) // 2])
                    break
                sink.sendall(chunk)
        self._close()

    def _close(self) -> None:
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
