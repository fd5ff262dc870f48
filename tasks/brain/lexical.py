"""A vector made by hashing words: `lexical-hash-256`, not a neural model.

It needs nothing but Python. Two texts are near each other when they share words, or
parts of words; it knows nothing of meaning, so `car` and `automobile` are strangers.
`HEADWAY_EMBEDDER=minilm` puts a real model in its place.
"""

from __future__ import annotations

import math
from collections import Counter
from functools import lru_cache
from zlib import crc32

from tasks.brain.text import words

NAME = "lexical-hash-256"
DIMENSIONS = 256
PART = 3
PART_WEIGHT = 0.2


def vector(text: str) -> list[float]:
    """Return a vector of length 1, or of zeros where the text has no words."""
    values = [0.0] * DIMENSIONS
    for word, times in Counter(words(text)).items():
        weight = 1 + math.log(times)
        for place, share in _features(word):
            values[place] += weight * share
    length = math.sqrt(sum(value * value for value in values))
    return [value / length for value in values] if length else values


@lru_cache(maxsize=50_000)
def _features(word: str) -> tuple[tuple[int, float], ...]:
    """Return where a word counts, and how much: the whole word, then its parts."""
    parts = {word[at : at + PART] for at in range(len(word) - PART)}
    features = [_place(f"={word}", 1.0)]
    features += [_place(part, PART_WEIGHT) for part in sorted(parts)]
    return tuple(features)


def _place(feature: str, weight: float) -> tuple[int, float]:
    """Choose by hash a dimension and a sign, so that collisions cancel on average."""
    number = crc32(feature.encode("utf-8", "replace"))
    return number % DIMENSIONS, weight if number & 0x10000 else -weight
