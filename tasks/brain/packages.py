"""What the installed Python packages say about themselves: a library to read offline.

Every distribution is one document, made of its METADATA: the summary, the long
description, the authors and the requirements. Documentation files that it ships are
documents of their own. Addresses look like `package:flask` and
`package:flask/docs/start.md`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from email.utils import getaddresses
from importlib.metadata import Distribution, PackageNotFoundError, distributions
from importlib.metadata import distribution as distribution_of
from pathlib import Path, PurePosixPath

from tasks.brain.text import clean, without_pictures
from tasks.files import FileError, Text, links_of, people

SCHEME = "package:"
NAME = re.compile(r"^[A-Za-z0-9][A-Za-z0-9._-]*")
LEGAL = re.compile(r"licen[cs]e|copying|notice|authors|sbom|thirdparty", re.IGNORECASE)
#: Where a file of these kinds lies under one of these folders, it is documentation.
PROSE = frozenset({".md", ".rst", ".markdown"})
PAGES = frozenset({".html", ".pdf", ".docx", ".txt"})
DOCUMENTATION = frozenset({"doc", "docs", "documentation", "manual"})
ASIDE = frozenset({"tests", "test", "testing", "templates", "static", "_vendor"})
ASIDE_TOO = frozenset({"node_modules", "licenses", "legal", "__pycache__"})
#: What tools write where an author wrote nothing.
NOTHING = ("", "UNKNOWN")
SMALLEST, LARGEST, MOST = 200, 2_000_000, 20


def listed() -> Iterator[str]:
    """Yield the address of every document of the packages on `sys.path`."""
    seen: set[str] = set()
    for distribution in distributions():
        name = normal(distribution.name or "")
        if name and name not in seen:
            seen.add(name)
            yield SCHEME + name
            yield from _shipped(name, distribution)


def _shipped(name: str, distribution: Distribution) -> Iterator[str]:
    files = sorted(file for file in distribution.files or () if _is_prose(file))
    sized = (
        file for file in files if _has_size(Path(str(distribution.locate_file(file))))
    )
    for _, file in zip(range(MOST), sized, strict=False):
        yield f"{SCHEME}{name}/{file.as_posix()}"


def _is_prose(file: PurePosixPath) -> bool:
    folders = {part.lower() for part in file.parts[:-1]}
    if folders & ASIDE or folders & ASIDE_TOO or LEGAL.search(file.name):
        return False
    if ".." in file.parts or any(part.endswith(".dist-info") for part in file.parts):
        return False
    suffix = file.suffix.lower()
    return suffix in PROSE or (suffix in PAGES and bool(folders & DOCUMENTATION))


def _has_size(path: Path) -> bool:
    try:
        return SMALLEST <= path.stat().st_size <= LARGEST
    except OSError:
        return False


def path_of(uri: str) -> Path | None:
    """Return where a shipped file lies; None where the address is a distribution.

    Raises:
        FileError: where the package is not installed any more.
    """
    name, _, file = uri.removeprefix(SCHEME).partition("/")
    return Path(str(_installed(name).locate_file(file))) if file else None


def metadata(uri: str) -> str:
    """Return the METADATA of a distribution, as it lies on disk.

    Raises:
        FileError: where the package is gone, or has none.
    """
    found = _installed(uri.removeprefix(SCHEME))
    written = found.read_text("METADATA") or found.read_text("PKG-INFO")
    if not written:
        raise FileError(f"{uri}: has no METADATA; reinstall the package")
    return written


def parse(uri: str) -> Text:
    """Return what a distribution says about itself.

    Raises:
        FileError: where the package is gone, or has no METADATA.
    """
    metadata(uri)
    found = _installed(uri.removeprefix(SCHEME))
    about = found.metadata
    fields = {
        key: str(about[key]) for key in ("Name", "Summary", "Keywords") if about[key]
    }
    description = str(about.get_payload() or about["Description"] or "")  # type: ignore[attr-defined]
    keywords = f"Keywords: {fields['Keywords']}" if "Keywords" in fields else ""
    parts = (fields.get("Summary", ""), keywords, description.strip())
    written = clean("\n\n".join(part for part in parts if part not in NOTHING))
    body = without_pictures(written)
    return Text(
        title=fields.get("Name", found.name),
        summary=clean(fields.get("Summary", "")),
        body=body or found.name,
        links=links_of(body),
        authors=_authors(found),
        requires=tuple(dict.fromkeys(_requirements(found))),
    )


def _authors(found: Distribution) -> tuple[str, ...]:
    """Return the people in `Author` and `Author-email`: tools differ in the choice."""
    written = found.metadata.get_all("Author") or []
    addressed = getaddresses(found.metadata.get_all("Author-email") or [])
    names = [name for line in written for name in people(str(line))]
    return tuple(
        dict.fromkeys([*names, *(clean(name) for name, _ in addressed if name)])
    )


def _requirements(found: Distribution) -> Iterator[str]:
    """Yield what it always needs; an extra is a wish, not a requirement."""
    for line in found.requires or ():
        requirement, _, marker = line.partition(";")
        match = NAME.match(requirement.strip())
        if match and "extra" not in marker:
            yield SCHEME + normal(match[0])


def _installed(name: str) -> Distribution:
    try:
        return distribution_of(name)
    except (PackageNotFoundError, ValueError) as error:
        raise FileError(f"{SCHEME}{name}: not installed any more") from error


def normal(name: str) -> str:
    """Return the one spelling of a package's name that all spellings share."""
    return re.sub(r"[-_.]+", "-", name).lower()
