"""Addresses of documents, and what the links inside a document lead to.

A document is `file:///...` or `package:name` or `package:name/its/file.md`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from posixpath import dirname, normpath
from urllib.parse import unquote, unquote_to_bytes, urlsplit

from tasks.brain.packages import SCHEME, normal

INDEX = re.compile(r"^/(?:project|pypi)/([A-Za-z0-9._-]+)")
INDEX_HOSTS = frozenset({"pypi.org", "pypi.python.org"})
DRAWINGS = (".svg", ".png", ".gif", ".jpg", ".jpeg", ".webp", ".css", ".js", ".ico")


def of_file(path: Path) -> str:
    """Return the address of a file; any name fits, even one that is no text."""
    return path.as_uri()


def to_path(uri: str) -> Path:
    """Return the file of a `file:///` address."""
    return Path(os.fsdecode(unquote_to_bytes(urlsplit(uri).path)))


def targets(uri: str, links: Iterable[str]) -> tuple[str, ...]:
    """Return what a document's links may lead to: each once, never to itself."""
    found = (_target(uri, link.strip()) for link in links)
    return tuple(dict.fromkeys(one for one in found if one and one != uri))


def _target(uri: str, link: str) -> str | None:
    try:
        parts = urlsplit(link)
    except ValueError:
        return None
    if parts.scheme in ("http", "https"):
        return _package(parts.hostname or "", parts.path)
    if parts.scheme == "file":
        return of_file(to_path(link)) if to_path(link).is_absolute() else None
    path = unquote(parts.path)
    if parts.scheme or parts.netloc or not path or path.lower().endswith(DRAWINGS):
        return None
    return _beside(uri, path)


def _package(host: str, path: str) -> str | None:
    """Return the package that a page of the package index is about."""
    match = INDEX.match(path)
    return SCHEME + normal(match[1]) if host in INDEX_HOSTS and match else None


def _beside(uri: str, path: str) -> str | None:
    """Resolve a relative link by the folder its document lies in."""
    if uri.startswith("file:"):
        joined = normpath(f"{dirname(to_path(uri))}/{path}" if path[0] != "/" else path)
        return of_file(Path(joined))
    package, _, file = uri.removeprefix(SCHEME).partition("/")
    inside = normpath(f"{dirname(file)}/{path.lstrip('/')}").lstrip("/")
    return (
        None if inside.startswith("..") or not file else f"{SCHEME}{package}/{inside}"
    )
