"""Walk a folder for documents; hidden folders, caches and circles are left out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from headway.errors import HeadwayError
from tasks.brain import addresses
from tasks.files import READERS

CACHES = frozenset({"__pycache__", "node_modules", "venv", "site-packages", "build"})


class FolderError(HeadwayError):
    """Raised when a folder to ingest is none, or may not be read."""


def checked(folder: Path) -> Path:
    """Return the folder, absolute and without links.

    Raises:
        FolderError: where it is missing, no folder, or may not be read.
    """
    try:
        found = folder.expanduser().resolve()
        os.scandir(found).close()
    except FileNotFoundError as error:
        raise FolderError(f"{folder}: no such folder; check the spelling") from error
    except NotADirectoryError as error:
        raise FolderError(f"{folder}: a file, not a folder; give its folder") from error
    except PermissionError as error:
        raise FolderError(
            f"{folder}: may not be read by this user; run `chmod u+rx` on it"
        ) from error
    except (OSError, RuntimeError, ValueError) as error:
        raise FolderError(f"{folder}: cannot be opened ({error})") from error
    return found


def listed(folder: Path) -> Iterator[str]:
    """Yield the address of every file below that is of a kind that can be read."""
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        folders[:] = sorted(
            name for name in folders if _is_wanted(name) and _is_first(root, name, seen)
        )
        for name in sorted(files):
            if _is_document(Path(root, name)):
                yield addresses.of_file(Path(root, name))


def _is_wanted(name: str) -> bool:
    return not name.startswith(".") and name not in CACHES


def _is_first(root: str, name: str, seen: set[tuple[int, int]]) -> bool:
    """Say whether this folder was not walked by another way: a link may lead back."""
    try:
        status = Path(root, name).stat()
    except OSError:
        return True
    identity = (status.st_dev, status.st_ino)
    known = (
        identity in seen or Path(root, name).resolve() in Path(root).resolve().parents
    )
    seen.add(identity)
    return not known


def _is_document(path: Path) -> bool:
    """Say whether to try; what cannot be read is tried as well, and reported."""
    if path.name.startswith((".", "~$")) or path.suffix.lower() not in READERS:
        return False
    return path.is_file() or not path.exists()
