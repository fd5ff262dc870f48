"""The data folder: nobody else's to read, and never part of a commit."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress
from pathlib import Path

from headway.errors import EmbeddedServerError

#: Less than this and a new Postgres fills the disk half-way through its start.
_ROOM = 150 * 1024 * 1024


def prepare(data: Path) -> None:
    """Make the data folder, private and ignored by git.

    Raises:
        EmbeddedServerError: when it cannot be made or written, or the disk is full.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not any(data.iterdir()):
            # Only where all in it is ours: HEADWAY_DATA may name a shared folder.
            with suppress(PermissionError):
                data.chmod(0o700)
            (data / ".gitignore").write_text("*\n", encoding="utf-8")
        free = shutil.disk_usage(data).free
    except OSError as error:
        raise EmbeddedServerError(cannot_write(data, error)) from error
    if not os.access(data, os.W_OK | os.X_OK):
        raise EmbeddedServerError(cannot_write(data, "it belongs to another user"))
    if free < _ROOM:
        raise EmbeddedServerError(
            f"{data}: {free // 2**20} MB left on its disk, {_ROOM // 2**20} MB are "
            "needed: make room, or set HEADWAY_DATA to a folder on another disk"
        )


def described(data: Path, error: Exception) -> str:
    """Say what is wrong and what to do, for whatever went wrong in that folder."""
    if isinstance(error, OSError):
        return cannot_write(data, error)
    if isinstance(error, EmbeddedServerError):
        return str(error)
    return f"unforeseen {type(error).__name__}: {error}; see {data / 'keeper.log'}"


def cannot_write(data: Path, why: object) -> str:
    """Say that the folder cannot be used, and what to do."""
    return (
        f"{data} cannot hold the development servers' data ({why}): set HEADWAY_DATA "
        "to a folder that you may write, or set REDIS_URL, DATABASE_URL and NEO4J_URI"
    )


def password(folder: Path) -> str:
    """Return the password kept in that folder, made on first use.

    It lies beside the data that it opens, so that removing a server's folder
    never leaves one without the other. Development servers listen where every
    user of the machine can connect, and who writes to Redis runs code here.
    """
    path = folder / "password"
    if not path.exists():
        write_private(path, secrets.token_hex(16))
    return path.read_text(encoding="ascii")


def write_private(path: Path, text: str) -> None:
    """Replace the file in one step, readable by its owner alone."""
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        draft.replace(path)
    except OSError:
        draft.unlink(missing_ok=True)
        raise


def last_lines(log: Path, count: int = 15) -> str:
    """Return the end of a log, indented, for an error message."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    return "\n".join(f"    {line}" for line in lines[-count:]) or "    (it is empty)"
