from __future__ import annotations

from pathlib import Path

import pytest

from headway.cli.procfile import Procfile
from headway.errors import ConfigurationError

OURS = """\
# the processes
web: headway dashboard

worker: headway worker high default low
"""


def test_processes_keep_the_order_of_the_file():
    procfile = Procfile.parse(OURS)
    assert list(procfile.commands) == ["web", "worker"]
    assert procfile.commands["worker"].argv({}) == [
        *("headway", "worker", "high", "default", "low")
    ]


def test_variables_are_filled_in_and_have_defaults():
    command = Procfile.parse("web: serve -b 0:$PORT ${HOST:-here} $NO").commands["web"]
    assert command.argv({"PORT": "80"}) == ["serve", "-b", "0:80", "here", ""]


def test_a_value_with_spaces_stays_one_argument():
    command = Procfile.parse("web: serve $NAME").commands["web"]
    assert command.argv({"NAME": "two words"}) == ["serve", "two words"]


def test_a_command_without_operators_gets_no_shell():
    command = Procfile.parse("web: echo 'a; b' \"c & d\" #no").commands["web"]
    assert command.argv({}) == ["echo", "a; b", "c & d", "#no"]


@pytest.mark.parametrize("text", ["a && b", "cd x; b", "a | b", "a > f", "a $(b)"])
def test_a_command_with_operators_gets_a_shell_that_waits_for_it(text: str):
    words = Procfile.parse(f"web: {text}").commands["web"].argv({})
    assert words[:2] == ["/bin/sh", "-c"]
    assert words[2].endswith(text)


def test_assignments_before_a_command_are_kept():
    command = Procfile.parse("web: A=1 B=two serve").commands["web"]
    assert command.argv({}) == ["env", "A=1", "B=two", "serve"]
    assert command.program({}) == "serve"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("web headway", "Procfile, line 1: 'web headway' is not `name: command`"),
        ("\nw eb: x", "Procfile, line 2: 'w eb: x' is not `name: command`"),
        ("web:", "Procfile, line 1: 'web' has no command"),
        ("web: a\nweb: b", "Procfile, line 2: 'web' is there twice"),
        ("web: echo 'a", "Procfile, line 1: no closing quotation"),
        ("# nothing", "Procfile: no process in it"),
    ],
)
def test_a_wrong_line_is_named_with_its_number(text: str, said: str):
    with pytest.raises(ConfigurationError) as caught:
        Procfile.parse(text)
    assert said in str(caught.value)


def test_a_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigurationError, match="No such file or directory; a Proc"):
        Procfile.read(tmp_path / "Procfile")


def test_a_file_that_is_not_text_is_named(tmp_path: Path):
    (tmp_path / "Procfile").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="it is not UTF-8 text"):
        Procfile.read(tmp_path / "Procfile")
