from __future__ import annotations

import os

import pytest

from tasks.brain import addresses, folder, packages, sources
from tasks.files import FileError


def names(place):
    return [
        addresses.to_path(uri).relative_to(place).as_posix()
        for uri in folder.listed(place)
    ]


def test_a_walk_finds_documents_below_and_leaves_the_rest(tmp_path):
    for name in ("b.md", "sub/a.txt", ".git/x.md", "node_modules/y.md", "z.py"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("text")
    (tmp_path / ".hidden.md").write_text("text")
    (tmp_path / "~$open.docx").write_text("text")
    os.mkfifo(tmp_path / "pipe.md")
    assert names(tmp_path) == ["b.md", "sub/a.txt"]


def test_a_circle_of_links_is_walked_once(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub/a.md").write_text("text")
    (tmp_path / "sub/up").symlink_to(tmp_path)
    (tmp_path / "sub/self").symlink_to(tmp_path / "sub")
    assert names(tmp_path) == ["sub/a.md"]


def test_a_dangling_link_is_tried_so_that_it_is_reported(tmp_path):
    (tmp_path / "gone.md").symlink_to(tmp_path / "nowhere")
    [uri] = folder.listed(tmp_path)
    with pytest.raises(FileError, match="no such file"):
        sources.digest(uri)


@pytest.mark.parametrize("name", ["a b#c?.md", "æøå.md", "100%.md", b"\xff\xfe.md"])
def test_any_file_name_survives_as_an_address(tmp_path, name):
    path = tmp_path / os.fsdecode(name)
    path.write_text("text")
    uri = addresses.of_file(path)
    uri.encode("ascii")
    assert addresses.to_path(uri) == path


def test_a_bad_folder_is_refused_in_one_line(tmp_path):
    (tmp_path / "a.md").write_text("text")
    with pytest.raises(folder.FolderError, match="no such folder"):
        sources.name_of(tmp_path / "nowhere")
    with pytest.raises(folder.FolderError, match="a file, not a folder"):
        sources.name_of(tmp_path / "a.md")


def test_every_installed_package_is_a_document():
    uris = list(packages.listed())
    assert "package:pypdf" in uris
    assert len(uris) == len(set(uris))
    assert sum("/" not in uri for uri in uris) > 20


def test_a_package_says_who_wrote_it_and_what_it_needs():
    text = packages.parse("package:rq")
    assert "package:redis" in text.requires
    assert "Selwin Ong" in text.authors
    assert "background" in text.summary


def test_requirements_of_extras_are_left_out():
    text = packages.parse("package:headway")
    assert "package:rq" in text.requires
    assert "package:psycopg" not in text.requires


def test_a_package_that_is_gone_is_reported():
    with pytest.raises(FileError, match="not installed any more"):
        packages.parse("package:no-such-package")


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("b.md", "file:///d/sub/b.md"),
        ("../b.md#part", "file:///d/b.md"),
        ("a%20b.md", "file:///d/sub/a%20b.md"),
        ("https://pypi.org/project/Foo_Bar/1.0/", "package:foo-bar"),
        ("https://pypi.python.org/pypi/rq", "package:rq"),
        ("https://example.com/x", None),
        ("mailto:a@b", None),
        ("#part", None),
        ("logo.png", None),
        ("a.md", None),
        ("http://[broken", None),
    ],
)
def test_a_link_leads_to_a_document_or_nowhere(link, target):
    found = addresses.targets("file:///d/sub/a.md", [link])
    assert found == ((target,) if target else ())


def test_a_link_inside_a_package_stays_inside():
    assert addresses.targets("package:x/docs/a.md", ["b.md", "../../../etc/b.md"]) == (
        "package:x/docs/b.md",
    )
    assert addresses.targets("package:x", ["docs/b.md"]) == ()
