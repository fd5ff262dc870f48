"""An environment for each contestant, made once from its pins, under `.bench/`."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PINS = ROOT / "requirements" / "peers"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input")


class CannotRunError(Exception):
    """A contestant could not be installed, started or finished; says why."""


def programs(peer: str) -> Path:
    """Return the folder of the peer's programs, its environment made if need be.

    Raises:
        CannotRunError: pip could not install it.
    """
    home, stamp = ROOT / ".bench" / peer, _stamp(peer)
    needs_us = peer.startswith("headway")
    made = home / "made-from"
    if not made.exists() or made.read_text() != stamp:
        print(f"bench: installing {peer} into {home}", file=sys.stderr)
        # The same Python for all, ours included; pip is lent, not installed.
        venv.create(home, clear=True, symlinks=True, with_pip=False)
        _install(home, "--no-deps", *_pins(peer))
        if needs_us:
            own = ("--no-deps", "--no-build-isolation", "--editable", str(ROOT))
            _install(home, *own)
        made.write_text(stamp)
    return home / "bin"


def _pins(peer: str) -> list[str]:
    """Return what a peer's environment holds; of two pins an engine's own counts."""
    own, _, engine = peer.partition("_on_")
    pinned: dict[str, str] = {}
    for name in filter(None, (own, engine)):
        for line in (PINS / f"{name}.txt").read_text().splitlines():
            if not line.startswith("#"):
                pinned[line.partition("==")[0].lower()] = line
    return list(pinned.values())


def _install(home: Path, *what: str) -> None:
    python = str(home / "bin" / "python")
    command = [sys.executable, *_PIP, "--python", python, "install", "-qq", *what]
    if subprocess.run(command, check=False).returncode:
        raise CannotRunError(f"pip could not install {' '.join(what)}; see above")


def _stamp(peer: str) -> str:
    """Return what the environment is made from, and for which Python and place."""
    parts = [sys.version, str(ROOT), *_pins(peer)]
    if peer.startswith("headway"):
        parts.append((ROOT / "pyproject.toml").read_text())
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
