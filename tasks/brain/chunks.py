"""Cut a text into passages that a search can show and a vector can stand for."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: About a paragraph: short enough to be read at a glance, long enough to make sense.
LENGTH = 700
PARAGRAPH_END = re.compile(r"\n\s*\n")
SENTENCE_END = re.compile(r"(?<=[.!?:;])\s+|\n")


def chunk(text: str, length: int = LENGTH) -> list[str]:
    """Return passages of at most `length` characters that end where the text pauses."""
    passages: list[str] = []
    passage = ""
    for piece in _pieces(text, length):
        if passage and len(passage) + len(piece) + 2 > length:
            passages.append(passage)
            passage = ""
        passage = f"{passage}\n\n{piece}" if passage else piece
    return [*passages, passage] if passage else passages


def _pieces(text: str, length: int) -> Iterator[str]:
    """Yield paragraphs; where one is too long its sentences, then plain slices."""
    for paragraph in PARAGRAPH_END.split(text):
        stripped = paragraph.strip()
        if 0 < len(stripped) <= length:
            yield stripped
        elif stripped:
            for sentence in _gathered(SENTENCE_END.split(stripped), length):
                yield from _slices(sentence, length)


def _gathered(sentences: list[str], length: int) -> Iterator[str]:
    line = ""
    for sentence in sentences:
        if line and len(line) + len(sentence) + 1 > length:
            yield line
            line = ""
        line = f"{line} {sentence}" if line else sentence
    yield line


def _slices(sentence: str, length: int) -> Iterator[str]:
    for start in range(0, len(sentence), length):
        if piece := sentence[start : start + length].strip():
            yield piece
