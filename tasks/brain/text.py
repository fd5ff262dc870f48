"""Words and sentences of plain text: what the vectors and the agent count."""

from __future__ import annotations

import re
from functools import lru_cache

WORD = re.compile(r"[^\W_]+")
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[^a-z\s])|\n\s*\n|\n(?=\s*[-*#=|>`])")
FENCED = re.compile(r"^```.*?^```|^ {4}[^\n]*$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")
CODE = re.compile(r"```|\w\(.*\)|[{};]|\w=\S|::|^\$ |\|")
ENDINGS = ("ings", "ing", "ers", "er", "ies", "ed", "es", "s", "e", "y")
SHORTEST_STEM = 3
PICTURE = re.compile(
    r"\[?!\[[^\]]*\]\s*[(\[][^)\]]*[)\]]\]?(?:[(\[][^)\]]*[)\]])?"  # Markdown
    r"|<!--[\s\S]*?-->|</?(?:img|picture|source)\b[^>]*>|<(?:p|div|h1) align[^>]*>"
    r"|^\.\. (?:\|[^|]*\| )?image::.*(?:\n[ \t]+.*)*",  # reStructuredText
    re.MULTILINE,
)
#: Words that say nothing about what a text is about.
STOP_WORDS = frozenset(
    """a about above after again all also am an and any are as at be because been
    before being below between both but by can cannot could did do does doing done
    down during each else ever few for from further get gets give had has have having
    he her here hers him his how i if in into is it its itself just let like ll may me
    might more most must my no nor not now of off on once one only or other our out
    over own re same shall she should so some such than that the their them then there
    these they this those through to too under until up us use used uses using ve very
    want was way we were what when where whether which while who whom why will with
    would you your yours http https www com org""".split()  # noqa: SIM905 - a list of 150 strings reads worse
)


def words(text: str) -> list[str]:
    """Return the stems of the words that carry meaning, in their order."""
    return [stem(word) for word in _meaningful(text)]


def spelled(text: str) -> dict[str, str]:
    """Return each stem with the shortest word that it was cut from, to be shown."""
    shortest: dict[str, str] = {}
    for word in sorted(_meaningful(text), key=len):
        shortest.setdefault(stem(word), word)
    return shortest


def _meaningful(text: str) -> list[str]:
    found = (word.lower() for word in WORD.findall(text))
    return [word for word in found if word not in STOP_WORDS]


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Cut one common English ending, so that `parse` and `parsing` are one word."""
    for ending in ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= SHORTEST_STEM:
            return word[: -len(ending)]
    return word


def sentences(text: str) -> list[str]:
    """Split prose where a sentence ends, its markup left out, and code with it."""
    prose = LINK.sub(r"\1", FENCED.sub("\n\n", text))
    parts = (" ".join(part.split()) for part in SENTENCE_END.split(prose))
    return [part.lstrip("#*-> ") for part in parts if part and not CODE.search(part)]


def clean(text: str) -> str:
    """Drop what Postgres and JSON cannot hold: NUL and halves of characters."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode("utf-8")


def without_pictures(text: str) -> str:
    """Drop images, badges and comments: no reader of the text wants to see them."""
    return PICTURE.sub("", text).strip()
