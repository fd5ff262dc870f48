"""Read one file as text: pdf, docx, html, md, txt, rst.

A file that cannot be read is refused in one line that says which, what is wrong with
it and what to do. Files come from strangers, so their parsers may raise anything.
"""

from __future__ import annotations

import re
import stat
import zipfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import docx
import pypdf
from bs4 import BeautifulSoup
from docx.opc.constants import RELATIONSHIP_TYPE
from pypdf.errors import DependencyError, FileNotDecryptedError

from headway.errors import HeadwayError
from tasks.brain.text import clean, without_pictures

LIMIT = 50 * 1024 * 1024
#: How much larger than the limit a packed file may become: a bomb is refused.
SWELL = 4
NAMED_SO_FAR = 2000
ENCRYPTED_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
BYTE_ORDER_MARKS: Mapping[bytes, str] = {
    b"\xef\xbb\xbf": "utf-8-sig",
    b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}
FRONT_MATTER = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)
HEADING = re.compile(r"^#\s+(.+?)\s*#*$", re.MULTILINE)
UNDERLINED = re.compile(r"^(\S.{1,120})\n([=~*#-])\2{2,}\s*$", re.MULTILINE)
LINK = re.compile(r"\]\(<?([^)\s>]+)|`[^`<]+<([^`>]+)>`_|<(https?://[^>\s]+)>")
BLOCKS = ["p", "div", "li", "tr", "pre", "h1", "h2", "h3", "h4", "h5", "h6", "section"]


class FileError(HeadwayError):
    """Raised when a file cannot be read; a person has to look, a retry is in vain."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What a source says, whatever it was written in."""

    title: str
    body: str
    #: Addresses it points to, as they were written.
    links: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    summary: str = ""
    #: Other documents it cannot do without, by their address.
    requires: tuple[str, ...] = ()


def parse(path: Path, *, limit: int = LIMIT) -> Text:
    """Return the text of a file, by the reader that its suffix names.

    Raises:
        FileError: which file, what is wrong with it, what to do.
    """
    check(path, limit=limit)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        kinds = " ".join(sorted(READERS))
        raise FileError(f"{path}: not a kind that can be read ({kinds}); convert it")
    try:
        text = reader(path, limit)
    except FileError:
        raise
    except MemoryError as error:
        raise FileError(f"{path}: needs more memory than there is; split it") from error
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    except Exception as error:
        # A broken file makes its parser raise anything, even RecursionError.
        raise FileError(
            f"{path}: damaged ({type(error).__name__}: {_line(error)}); "
            "open it in its own program and save it again"
        ) from error
    if not text.body.strip():
        raise FileError(f"{path}: holds no text{_hint(path)}")
    return text


def check(path: Path, *, limit: int = LIMIT) -> None:
    """Refuse by its name and size alone: nothing of a huge file is read.

    Raises:
        FileError: where it is missing, no file, empty or too large.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise FileError(unreadable(path, error)) from error
    if not stat.S_ISREG(status.st_mode):
        raise FileError(f"{path}: not a file; give the folder, or one of its files")
    if status.st_size == 0:
        raise FileError(f"{path}: empty (0 bytes); delete it or fill it")
    if status.st_size > limit:
        raise FileError(
            f"{path}: {_megabytes(status.st_size)} is larger than the limit of "
            f"{_megabytes(limit)}; split it"
        )


def _pdf(path: Path, _: int) -> Text:
    with path.open("rb") as file:
        if b"%PDF-" not in file.read(1024):
            raise FileError(f"{path}: damaged (no PDF header); download it again")
        reader = pypdf.PdfReader(file)
        _unlock(path, reader)
        pages = [page.extract_text() for page in reader.pages]
        links = [link for page in reader.pages for link in _annotations(page)]
        about = reader.metadata
    return Text(
        title=_title((about.title if about else None) or "", path),
        body=clean("\n\n".join(pages)),
        links=tuple(dict.fromkeys(links)),
        authors=people((about.author if about else None) or ""),
    )


def _unlock(path: Path, reader: pypdf.PdfReader) -> None:
    """Open what only restricts printing: its password is empty."""
    try:
        if not reader.is_encrypted or reader.decrypt(""):
            return
    except DependencyError as error:
        raise FileError(
            f"{path}: encrypted with AES; run `pip install 'pypdf[crypto]'`, "
            "or save it without encryption"
        ) from error
    except FileNotDecryptedError:
        pass
    raise FileError(f"{path}: asks for a password; save it without one")


def _annotations(page: pypdf.PageObject) -> Iterator[str]:
    """Yield the addresses that a page's links open."""
    for reference in page.annotations or []:
        action = reference.get_object().get("/A")
        target = action.get_object().get("/URI") if action is not None else None
        if target is not None:
            yield clean(str(target.get_object()))


def _docx(path: Path, limit: int) -> Text:
    with path.open("rb") as file:
        if file.read(8) == ENCRYPTED_OFFICE:
            raise FileError(
                f"{path}: asks for a password, or is an old .doc; save it as .docx"
            )
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(entry.file_size for entry in archive.infolist())
    if unpacked > SWELL * limit:
        raise FileError(f"{path}: unpacks to {_megabytes(unpacked)}; split it")
    document = docx.Document(str(path))
    parts = [paragraph.text for paragraph in document.paragraphs]
    for table in document.tables:
        parts += [" | ".join(cell.text for cell in row.cells) for row in table.rows]
    relations = document.part.rels.values()
    return Text(
        title=_title(document.core_properties.title, path),
        body=clean("\n\n".join(part for part in parts if part.strip())),
        links=tuple(
            relation.target_ref
            for relation in relations
            if relation.reltype == RELATIONSHIP_TYPE.HYPERLINK
        ),
        authors=people(document.core_properties.author),
    )


def _html(path: Path, _: int) -> Text:
    soup = BeautifulSoup(decode(path, path.read_bytes()), "html.parser")
    for noise in soup(["script", "style", "noscript", "template"]):
        noise.decompose()
    links = [str(anchor["href"]) for anchor in soup.find_all("a", href=True)]
    author = soup.find("meta", attrs={"name": "author"})
    title = soup.title.get_text(" ", strip=True) if soup.title else ""
    for block in soup.find_all(BLOCKS):
        block.append("\n\n")
    body = (soup.body or soup).get_text()
    return Text(
        title=_title(title, path),
        body=clean(re.sub(r"\s*\n\s*\n\s*", "\n\n", body).strip()),
        links=tuple(dict.fromkeys(links)),
        authors=people(str(author.get("content", "")) if author else ""),
    )


def _plain(path: Path, _: int) -> Text:
    body = clean(decode(path, path.read_bytes()))
    prose = body
    if path.suffix.lower() != ".txt":
        prose = without_pictures(FRONT_MATTER.sub("", body, count=1))
    return Text(title=heading(prose) or path.stem, body=prose, links=links_of(prose))


READERS: Mapping[str, Callable[[Path, int], Text]] = {
    ".pdf": _pdf,
    ".docx": _docx,
    ".html": _html,
    ".htm": _html,
    ".md": _plain,
    ".markdown": _plain,
    ".rst": _plain,
    ".txt": _plain,
}


def decode(path: Path, content: bytes) -> str:
    """Decode UTF-8 or UTF-16; what is neither was most likely written on old Windows.

    Raises:
        FileError: where the bytes are no text in any encoding.
    """
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    if b"\0" in content:
        raise FileError(
            f"{path}: binary, although it is named {path.suffix}; rename it"
        )
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("cp1252", "replace")


def heading(body: str) -> str:
    """Return the first heading of Markdown or reStructuredText, if there is one."""
    start = body[:NAMED_SO_FAR]
    found = [
        match for match in (HEADING.search(start), UNDERLINED.search(start)) if match
    ]
    return min(found, key=lambda match: match.start())[1].strip() if found else ""


def links_of(body: str) -> tuple[str, ...]:
    """Return what Markdown or reStructuredText links to, each once."""
    found = ("".join(match) for match in LINK.findall(body))
    return tuple(dict.fromkeys(found))


def people(written: str) -> tuple[str, ...]:
    """Return the names in a line of authors."""
    names = re.split(r"[,;]|\band\b", clean(written))
    return tuple(dict.fromkeys(name.strip() for name in names if name.strip()))


def _title(written: str, path: Path) -> str:
    return " ".join(clean(written).split()) or path.stem


def unreadable(path: Path, error: OSError) -> str:
    """Say why the system does not let a file be read, and what to do."""
    match error:
        case FileNotFoundError():
            return f"{path}: no such file; it was moved or deleted meanwhile"
        case PermissionError():
            return f"{path}: may not be read by this user; run `chmod u+r` on it"
        case _:
            return f"{path}: cannot be read ({_line(error)}); check the disk"


def _hint(path: Path) -> str:
    if path.suffix.lower() == ".pdf":
        return "; it may be a scan: run it through OCR first"
    return "; delete it or fill it"


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or "no details"


def _megabytes(size: int) -> str:
    return f"{size / 1024 / 1024:.0f} MB"
