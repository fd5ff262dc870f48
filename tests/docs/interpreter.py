"""Runs a page's Python, block by block, in a process of its own.

Requests and answers are JSON lines on the socket whose number is given. What the
code prints is part of the answer.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import json
import socket
import sys
import traceback
from typing import Any

FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


def answer(request: dict[str, Any], names: dict[str, Any]) -> str:
    """Run a block; return what is wrong with it, or an empty text."""
    output = io.StringIO()
    try:
        with contextlib.redirect_stdout(output):
            if request["session"]:
                return check_session(request, names)
            # The page's own line numbers in tracebacks.
            source = "\n" * request["line"] + request["source"]
            exec(compile(source, request["path"], "exec"), names)
    except BaseException:  # noqa: BLE001 - whatever it is, it is the answer
        return f"{output.getvalue()}{traceback.format_exc()}"
    return ""


def check_session(request: dict[str, Any], names: dict[str, Any]) -> str:
    parser, runner = doctest.DocTestParser(), doctest.DocTestRunner(optionflags=FLAGS)
    test = parser.get_doctest(
        request["source"], names, "page", request["path"], request["line"]
    )
    test.globs = names
    found: list[str] = []
    runner.run(test, out=found.append, clear_globs=False)
    return "".join(found)


def main() -> None:
    names: dict[str, Any] = {"__name__": "__page__"}
    sys.path.insert(0, "")
    with socket.socket(fileno=int(sys.argv[1])) as line, line.makefile("rw") as stream:
        for request in stream:
            stream.write(json.dumps(answer(json.loads(request), names)) + "\n")
            stream.flush()


if __name__ == "__main__":
    main()
