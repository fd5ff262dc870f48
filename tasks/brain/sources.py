"""Where documents come from: a folder, or the packages of this environment."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from tasks import files
from tasks.brain import addresses, folder, packages

#: The source of what `ingest(None)` reads.
PACKAGES = "installed packages"
BLOCK = 1 << 20


def name_of(place: Path | None) -> str:
    """Return under which name the documents of this place are kept.

    Raises:
        FolderError: where it is no folder that can be read.
    """
    return PACKAGES if place is None else str(folder.checked(place))


def listed(source: str) -> Iterator[str]:
    """Yield the addresses of all documents of a source."""
    return packages.listed() if source == PACKAGES else folder.listed(Path(source))


def digest(uri: str) -> str:
    """Return a hash of a document's content: the same content needs no work.

    Raises:
        FileError: where it cannot be read, or is so large that it will not be.
    """
    hashed = hashlib.blake2b(digest_size=16)
    path = _path(uri)
    if path is None:
        hashed.update(packages.metadata(uri).encode("utf-8", "replace"))
        return hashed.hexdigest()
    files.check(path)
    try:
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                hashed.update(block)
    except OSError as error:
        raise files.FileError(files.unreadable(path, error)) from error
    return hashed.hexdigest()


def parse(uri: str) -> files.Text:
    """Return the text of a document.

    Raises:
        FileError: which document, what is wrong with it, what to do.
    """
    path = _path(uri)
    return packages.parse(uri) if path is None else files.parse(path)


def _path(uri: str) -> Path | None:
    if uri.startswith(packages.SCHEME):
        return packages.path_of(uri)
    return addresses.to_path(uri)


def shown(uri: str) -> str:
    """Return an address as a person would write it."""
    return str(addresses.to_path(uri)) if uri.startswith("file:") else uri
