from __future__ import annotations

import math
import subprocess
import sys

import pytest

from tasks.brain import lexical
from tasks.brain.chunks import LENGTH, chunk
from tasks.brain.text import sentences, spelled, words


def cosine(one: str, other: str) -> float:
    return sum(
        a * b for a, b in zip(lexical.vector(one), lexical.vector(other), strict=True)
    )


def test_no_passage_is_longer_than_asked_and_nothing_is_lost():
    text = "\n\n".join(
        [
            "# Heading",
            "word " * 500,
            "x" * 3000,
            "A sentence. " * 100,
            "short",
        ]
    )
    passages = chunk(text)
    assert max(map(len, passages)) <= LENGTH
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_paragraphs_that_fit_stay_whole():
    assert chunk("one\n\ntwo") == ["one\n\ntwo"]
    long = "a" * 400
    assert chunk(f"{long}\n\n{long}") == [long, long]


def test_a_text_of_nothing_has_no_passages():
    assert chunk(" \n\n \n") == []


def test_words_lose_stop_words_and_endings():
    assert words("How do I parse a PDF?") == words("parsing the PDFs")


def test_a_stem_is_shown_as_a_word():
    assert spelled("cropping and crop, capabilities") == {
        "crop": "crop", "cropp": "cropping", "capabilit": "capabilities",
    }  # fmt: skip


def test_sentences_leave_code_and_markup_out():
    text = "Owls [fly](x.md). They hunt.\n\n```\ncode = 1\n```\n\n- A list item\n"
    assert sentences(text) == ["Owls fly.", "They hunt.", "A list item"]


def test_a_vector_has_length_one_and_one_of_nothing_is_zero():
    vector = lexical.vector("Owls hunt at night")
    assert len(vector) == lexical.DIMENSIONS == 256
    assert math.sqrt(sum(v * v for v in vector)) == pytest.approx(1)
    assert not any(lexical.vector("the of and"))


def test_texts_that_share_words_are_nearer_than_strangers():
    near = cosine("how do I parse a PDF", "a library for parsing PDF files")
    far = cosine("how do I parse a PDF", "snow falls in the mountains tonight")
    assert near > far + 0.3


def test_a_vector_is_the_same_in_every_process():
    program = "from tasks.brain import lexical; print(sum(lexical.vector('owls hunt')))"
    sums = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True, text=True, check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(sums) == 1
