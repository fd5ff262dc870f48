from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import docx
import pytest

from tasks.files import LIMIT, FileError, parse


def refusal(path: Path, **options: int) -> str:
    with pytest.raises(FileError) as caught:
        parse(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    return message


def test_a_pdf_gives_its_text_title_authors_and_links(tmp_path, make_pdf):
    text = parse(make_pdf(tmp_path / "a.pdf", "Owls fly at night"))
    assert "Owls fly at night" in text.body
    assert text.title == "On Owls"
    assert text.authors == ("Ada Poe", "Bo Lee")
    assert text.links == ("https://pypi.org/project/rq/",)


def test_a_pdf_that_only_restricts_printing_is_read(tmp_path, make_pdf):
    text = parse(make_pdf(tmp_path / "a.pdf", "Open to read", password=""))
    assert "Open to read" in text.body


def test_a_password_protected_pdf_is_refused_with_what_to_do(tmp_path, make_pdf):
    message = refusal(make_pdf(tmp_path / "a.pdf", "Secret", password="xyzzy"))
    assert message.endswith("asks for a password; save it without one")


def test_a_corrupt_pdf_is_reported_with_its_name(tmp_path, make_pdf):
    whole = make_pdf(tmp_path / "whole.pdf", "Owls").read_bytes()
    for number, content in enumerate([
        b"%PDF-1.7\n" + os.urandom(2000),
        whole[: len(whole) // 2],
        b"%PDF-1.4\n%%EOF",
        whole.replace(b"/Pages", b"/Pagez"),
    ]):  # fmt: skip
        path = tmp_path / f"{number}.pdf"
        path.write_bytes(content)
        assert "damaged" in refusal(path) or "no text" in refusal(path)


def test_a_pdf_that_is_none_is_damaged(tmp_path):
    path = tmp_path / "a.pdf"
    path.write_bytes(b"<html>404 not found</html>")
    assert "no PDF header" in refusal(path)


def test_a_scan_is_sent_to_ocr(tmp_path, make_pdf):
    assert "OCR" in refusal(make_pdf(tmp_path / "scan.pdf"))


def test_a_docx_gives_paragraphs_tables_title_and_author(tmp_path):
    path = tmp_path / "a.docx"
    document = docx.Document()
    document.core_properties.title = "Plan"
    document.core_properties.author = "Cy Young"
    document.add_paragraph("First we count.")
    table = document.add_table(rows=1, cols=2)
    table.rows[0].cells[0].text = "apples"
    table.rows[0].cells[1].text = "seven"
    document.save(str(path))
    text = parse(path)
    assert text.title == "Plan"
    assert text.authors == ("Cy Young",)
    assert "First we count." in text.body
    assert "apples | seven" in text.body


def test_a_broken_docx_is_damaged(tmp_path):
    path = tmp_path / "a.docx"
    path.write_bytes(b"PK\x03\x04 not a zip")
    assert "damaged" in refusal(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("hello.txt", "no word document")
    assert "damaged" in refusal(path)


def test_a_docx_with_a_password_is_refused(tmp_path):
    path = tmp_path / "a.docx"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "asks for a password" in refusal(path)


def test_a_docx_that_unpacks_to_far_too_much_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.docx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("word/document.xml", bytes(5_000_000))
    assert path.stat().st_size < 100_000
    assert "unpacks to" in refusal(path, limit=1_000_000)


def test_html_gives_visible_text_title_links_and_author(tmp_path):
    path = tmp_path / "a.html"
    path.write_text(
        "<html><head><title>Bees</title><meta name=author content='Di Fox'>"
        "<style>p{color:red}</style></head><body><h1>Bees</h1><p>They hum.</p>"
        "<script>alert(1)</script><a href='b.md'>more</a></body></html>"
    )
    text = parse(path)
    assert text.title == "Bees"
    assert text.authors == ("Di Fox",)
    assert text.links == ("b.md",)
    assert "They hum." in text.body
    assert "alert" not in text.body
    assert "color" not in text.body


def test_markdown_gives_title_and_links_and_leaves_badges_out(tmp_path):
    path = tmp_path / "a.md"
    path.write_text(
        "---\nname: x\n---\n[![ci](https://x/y.svg)](https://x)\n# Bread #\n\n"
        "See [flour](flour.md) and <https://pypi.org/project/rq/>.\n"
    )
    text = parse(path)
    assert text.title == "Bread"
    assert text.links == ("flour.md", "https://pypi.org/project/rq/")
    assert "svg" not in text.body
    assert "name: x" not in text.body


def test_markdown_comments_are_left_out(tmp_path):
    (tmp_path / "a.md").write_text("# Owls\n\n<!-- for\na tool -->They hunt.<!---->")
    assert parse(tmp_path / "a.md").body == "# Owls\n\nThey hunt."


def test_restructured_text_has_its_underlined_title(tmp_path):
    path = tmp_path / "a.rst"
    path.write_text("Bread\n=====\n\nSee `flour <flour.rst>`_.\n")
    text = parse(path)
    assert text.title == "Bread"
    assert text.links == ("flour.rst",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("Blåbær".encode(), "Blåbær"),
        ("Blåbær".encode("cp1252"), "Blåbær"),
        ("Blåbær".encode("utf-8-sig"), "Blåbær"),
        ("Blåbær".encode("utf-16"), "Blåbær"),
        (b"caf\xe9 \x81 end", "café � end"),
    ],
)
def test_text_of_any_usual_encoding_is_read(tmp_path, content, expected):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    assert parse(path).body == expected


def test_binary_content_under_a_text_name_is_refused(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\x7fELF\0\0\1\2")
    assert "binary" in refusal(path)


def test_an_unknown_kind_is_refused_with_the_known_ones(tmp_path):
    path = tmp_path / "a.xyz"
    path.write_text("hello")
    assert ".docx" in refusal(path)


def test_an_empty_file_and_one_of_spaces_are_refused(tmp_path):
    path = tmp_path / "a.md"
    path.touch()
    assert "empty" in refusal(path)
    path.write_text(" \n\n ")
    assert "no text" in refusal(path)


def test_a_missing_file_and_a_folder_are_refused(tmp_path):
    assert "no such file" in refusal(tmp_path / "a.md")
    (tmp_path / "b.md").mkdir()
    assert "not a file" in refusal(tmp_path / "b.md")


def test_a_file_of_200_megabytes_is_refused_without_being_read(tmp_path):
    path = tmp_path / "huge.txt"
    with path.open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    atime = path.stat().st_atime_ns
    message = refusal(path)
    assert "200 MB is larger than the limit of 50 MB; split it" in message
    assert path.stat().st_atime_ns == atime
    assert LIMIT == 50 * 1024 * 1024


def test_an_unreadable_file_is_reported_with_the_command_that_helps(tmp_path):
    path = tmp_path / "a.md"
    path.write_text("# hidden")
    path.chmod(0)
    for folder in (tmp_path, *tmp_path.parents[:2]):
        folder.chmod(0o755)
    program = (
        "import os, sys; from pathlib import Path; from tasks.files import *\n"
        "if os.getuid() == 0: os.setgid(65534); os.setuid(65534)\n"
        "try: parse(Path(sys.argv[1]))\n"
        "except FileError as error: print(error)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert told.stdout == (
        f"{path}: may not be read by this user; run `chmod u+r` on it\n"
    )


def test_what_postgres_cannot_hold_is_cleaned_away(tmp_path):
    path = tmp_path / "a.html"
    path.write_bytes(b"<p>one&#0;two \xed\xa0\x80</p>")
    body = parse(path).body
    assert "\0" not in body
    body.encode()
