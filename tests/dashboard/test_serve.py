from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from urllib.request import urlopen

import pytest

from headway.dashboard import serve
from headway.errors import ConfigurationError

SERVE = """
import sys
from redis import Redis
from headway.dashboard import Options, create_app, serve
app = create_app(Redis.from_url(sys.argv[1]), Options(open_on_loopback=True))
print("serving", flush=True)
serve(app, port=int(sys.argv[2]))
print("ended", flush=True)
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def test_a_port_in_use_is_named_with_the_way_out(app):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"port {port} .* is in use: stop"):
            serve(app, port=port)


def test_a_host_that_is_not_ours_is_named(app):
    with pytest.raises(ConfigurationError, match=r"cannot listen on '192\.0\.2\.1'"):
        serve(app, host="192.0.2.1", port=free_port())


def test_sigterm_ends_it_cleanly(valkey):
    port = free_port()
    command = [sys.executable, "-c", SERVE, valkey, str(port)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
    ) as process:
        assert process.stdout.readline() == b"serving\n"
        answer = None
        while answer is None and process.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as opened:
                    answer = opened.read()
                    headers = opened.headers
            except ConnectionError:
                continue
            except OSError as error:
                if not isinstance(getattr(error, "reason", None), ConnectionError):
                    raise
        assert answer == b'{"status":"ok"}\n'
        assert "Server" not in headers
        process.send_signal(signal.SIGTERM)
        _out, complaints = process.communicate(timeout=20)
    assert process.returncode == 0, complaints
