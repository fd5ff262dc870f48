"""A Redis that misbehaves at a command of the test's choosing: a proxy before one.

It reads requests and answers one by one, so that it can refuse one, lose its answer or
cut the line before or after it; whatever else is as the server behind it has it.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha1
from pathlib import Path
from typing import BinaryIO

from redis import Redis

import headway.wire
from headway.wire.scripts import Script

SCRIPTS = Path(headway.wire.__file__).parent / "scripts"
#: What scripts are called by their text's hash: so is the verb that a request means.
VERBS = {Script(path.stem).sha: path.stem for path in SCRIPTS.glob("*.lua")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What becomes of a request."""

    #: The server's line in place of an answer; the request does not reach it.
    refusal: str = ""
    #: To which commands the server says so: those without this flag, or with it.
    unless: str = ""
    only: str = ""
    #: Whether the server gets the request, where there is no refusal.
    forward: bool = True
    #: Whether the line is cut; otherwise the client waits for an answer in vain.
    cut: bool = True


REFUSALS = {
    "loading": Fault(
        refusal="LOADING Redis is loading the dataset in memory", unless="loading"
    ),
    "noauth": Fault(refusal="NOAUTH Authentication required.", unless="no_auth"),
    "readonly": Fault(
        refusal="READONLY You can't write against a read only replica.", only="write"
    ),
    "oom": Fault(
        refusal="OOM command not allowed when used memory > 'maxmemory'.",
        only="denyoom",
    ),
    "misconf": Fault(
        refusal="MISCONF Valkey is configured to save RDB snapshots, but it's "
        "currently unable to persist to disk.",
        only="write",
    ),
    "masterdown": Fault(
        refusal="MASTERDOWN Link with MASTER is down and replica-serve-stale-data is "
        "set to 'no'.",
        unless="stale",
    ),
}
LOST = {
    "cut before": Fault(forward=False),
    "cut after": Fault(),
}
HALF_OPEN = Fault(forward=False, cut=False)
ANSWER_LOST = Fault(cut=False)
FAULTS = REFUSALS | LOST

#: Commands with commands below them: what those have that are sent here.
FLAGS = {"CLIENT": {"loading", "stale"}, "SCRIPT": {"stale"}}

#: Tells, of a request, what becomes of it; by its label, as `evalsha:reserve`.
Rule = Callable[[str], Fault | None]


class Proxy:
    """Listens before a server."""

    def __init__(self, url: str) -> None:
        with Redis.from_url(url) as client:
            place = client.get_connection_kwargs()
            found = client.execute_command("COMMAND")
        self._server = (place["host"], place["port"])
        self._flags = {
            name.upper(): {_text(flag) for flag in about["flags"]}
            for name, about in found.items()
        } | FLAGS
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        self.rule: Rule | None = None
        #: Requests that a fault befell, by label.
        self.hit: Counter[str] = Counter()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._listen, daemon=True).start()

    def close(self) -> None:
        """Listen no more, and cut all lines."""
        self._closed.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut all lines, as a server that is killed."""
        with self._lock:
            for each in self._open:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)

    def once_each(self, fault: Fault, *labels: str, but: Collection[str] = ()) -> None:
        """Let each command, or each of these, fail the next time that it is sent."""
        self.hit.clear()

        def rule(label: str) -> Fault | None:
            is_meant = label in labels if labels else label not in but
            return fault if is_meant and not self.hit[label] else None

        self.rule = rule

    def concerns(self, fault: Fault, label: str) -> bool:
        """Tell whether a server in that state would refuse such a command."""
        name, _, verb = label.partition(":")
        flags = self._flags.get(name, set())
        if verb:  # a script of ours writes
            flags = (flags | {"write", "denyoom"}) - {"stale"}
        if fault.unless in flags:
            return False
        return not fault.only or fault.only in flags

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._server)
        except OSError:
            client.close()
            return
        both = {client, server}
        with self._lock:
            self._open |= both
        try:
            with client, server, contextlib.suppress(OSError, ValueError, EOFError):
                _Talk(self, client, server).run()
        finally:
            with self._lock:
                self._open -= both

    def fault_of(self, request: list[bytes]) -> Fault | None:
        """Return what becomes of a request."""
        label = label_of(request)
        with self._lock:
            rule = self.rule
            fault = rule(label) if rule else None
            if fault is None or not self.concerns(fault, label):
                return None
            self.hit[label] += 1
            return fault

    def await_close(self, client: socket.socket) -> None:
        """Read on and answer nothing, until the client has had enough."""
        while client.recv(65536):
            pass


class _Talk:
    """One client's line to the server."""

    def __init__(
        self, proxy: Proxy, client: socket.socket, server: socket.socket
    ) -> None:
        self._proxy = proxy
        self._client, self._server = client, server
        self._requests = client.makefile("rb")
        self._answers = server.makefile("rb")
        #: A transaction that the server would not run any more.
        self._is_spoilt = False
        #: What all of a transaction is refused with whose begin was.
        self._refusal = ""

    def run(self) -> None:
        while True:
            raw, request = _request(self._requests)
            fault = self._proxy.fault_of(request)
            if self._refusal:
                self._refuse(request, self._refusal)
            elif fault is None:
                self._pass_on(raw, request)
            elif fault.refusal:
                self._refuse(request, fault.refusal)
            else:
                self._lose(raw, fault)
                return

    def _pass_on(self, raw: bytes, request: list[bytes]) -> None:
        name = request[0].upper()
        if self._is_spoilt and name == b"EXEC":
            self._refuse_transaction()
            return
        self._is_spoilt = self._is_spoilt and name not in (b"MULTI", b"DISCARD")
        self._server.sendall(raw)
        if name in (b"SUBSCRIBE", b"PSUBSCRIBE"):
            self._listen_from_now_on()
        else:
            self._client.sendall(_answer(self._answers))

    def _refuse(self, request: list[bytes], line: str) -> None:
        name = request[0].upper()
        if name == b"EXEC" and not self._refusal:
            self._refuse_transaction()
            return
        self._is_spoilt = True
        if name in (b"MULTI", b"EXEC"):
            self._refusal = line if name == b"MULTI" else ""
        self._client.sendall(b"-%b\r\n" % line.encode())

    def _refuse_transaction(self) -> None:
        self._is_spoilt = False
        self._server.sendall(b"*1\r\n$7\r\nDISCARD\r\n")
        _answer(self._answers)
        self._client.sendall(
            b"-EXECABORT Transaction discarded because of previous errors.\r\n"
        )

    def _lose(self, raw: bytes, fault: Fault) -> None:
        if fault.forward:
            self._server.sendall(raw)
            _answer(self._answers)
        if not fault.cut:
            self._proxy.await_close(self._client)

    def _listen_from_now_on(self) -> None:
        """Pass on what is published, besides what is answered."""

        def publish() -> None:
            with contextlib.suppress(OSError, ValueError):
                while told := self._answers.read1(65536):
                    self._client.sendall(told)

        threading.Thread(target=publish, daemon=True).start()
        while True:
            raw, request = _request(self._requests)
            if (fault := self._proxy.fault_of(request)) and not fault.refusal:
                return
            self._server.sendall(raw)


def label_of(request: list[bytes]) -> str:
    """Return what a request is called here: its command, and the verb of a script."""
    name = request[0].decode().upper()
    if name in ("EVALSHA", "EVAL"):
        text = request[1]
        sha = text.decode() if name == "EVALSHA" else sha1(text).hexdigest()
        return f"EVALSHA:{VERBS.get(sha, 'other')}"
    return name


def _request(stream: BinaryIO) -> tuple[bytes, list[bytes]]:
    head = _line(stream)
    raw, words = [head], []
    for _ in range(int(head[1:])):
        size = _line(stream)
        body = stream.read(int(size[1:]) + 2)
        raw += [size, body]
        words.append(body[:-2])
    return b"".join(raw), words


def _answer(stream: BinaryIO) -> bytes:
    head = _line(stream)
    kind, rest = head[:1], head[1:].strip()
    if kind in b"$=!" and rest != b"-1":
        return head + stream.read(int(rest) + 2)
    if kind in b"*~>%" and rest != b"-1":
        count = int(rest) * (2 if kind == b"%" else 1)
        return head + b"".join(_answer(stream) for _ in range(count))
    return head


def _line(stream: BinaryIO) -> bytes:
    line = stream.readline()
    if not line:
        raise EOFError
    return line


def _text(flag: str | bytes) -> str:
    return flag.decode() if isinstance(flag, bytes) else flag
