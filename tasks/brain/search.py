"""Answer a question with the passages that come nearest, and their neighbours.

Two views are added up. Words: how often the words of the question stand in a passage,
in the title and in the summary of its document, where a rare word counts for more and
a long passage for less (BM25). Vectors: the cosine between question and passage.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from tasks import graph
from tasks.brain import store
from tasks.brain.database import Connection, connection
from tasks.brain.text import clean
from tasks.embed import EMBEDDERS, Embedder, chosen, model

CANDIDATES = 200
NEAREST = 60
PER_DOCUMENT = 2
#: BM25's usual figures: how soon repetition stops to count, and length to harm.
SATURATION, LENGTH_SHARE = 1.2, 0.6
IN_TITLE, IN_SUMMARY = 2.0, 2.0

LEXEMES = "select tsvector_to_array(to_tsvector('english', %s))"
FREQUENCIES = """
    select word, count(distinct c.document_id)
    from unnest(%s::text[]) as word
    left join chunks c on c.words @@ quote_literal(word)::tsquery group by word"""
FOUND = """
    with hits as (
        select document_id, position from chunks
        where words @@ %(query)s::tsquery
        order by ts_rank_cd(words, %(query)s::tsquery, 1) desc limit %(candidates)s
    ), near as (
        select document_id, position from chunks where embedding is not null
        and %(vector)s::text is not null
        order by embedding <=> %(vector)s::vector limit %(nearest)s
    )
    select d.uri, d.title, d.removed is not null, c.document_id, c.position, c.text,
        1 - (c.embedding <=> %(vector)s::vector), length(c.words),
        (select coalesce(json_object_agg(lexeme, cardinality(positions)), '{}')
            from unnest(c.words) where lexeme = any(%(lexemes)s)),
        tsvector_to_array(to_tsvector('english', d.title)),
        tsvector_to_array(to_tsvector('english', d.summary))
    from (select * from hits union select * from near) both_views
    join chunks c using (document_id, position)
    join documents d on d.id = c.document_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A place in a document that answers, and how well: 0 not at all, 1 perfectly."""

    document: str
    uri: str
    score: float
    passage: str
    linked: tuple[str, ...] = ()
    #: Its source has the document no more.
    removed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    passage: Passage
    document_id: int
    position: int
    nearness: float
    length: int
    #: How often each word of the question stands here; titles count for more.
    counts: Mapping[str, float]


def search(question: str, *, limit: int = 5) -> list[Passage]:
    """Return the best passages, best first, with what their documents are linked to."""
    best = rank(question, limit=limit)
    if not best:
        return []
    linked = graph.neighbours(sorted({passage.uri for passage in best}))
    return [replace(passage, linked=linked[passage.uri]) for passage in best]


def rank(question: str, *, limit: int) -> list[Passage]:
    """Return the best passages, without a look at the graph."""
    question, embedder = clean(question), _usable_embedder()
    with connection() as database:
        lexemes = _one(database, LEXEMES, question)
        rarity = _rarity(database, lexemes)
        candidates = _candidates(database, question, lexemes, embedder)
    scored = _scored(candidates, rarity, embedder.weight if embedder else 0.0)
    return _spread(scored, limit)


def _one(database: Connection, query: str, value: str) -> list[str]:
    row = database.execute(query.encode(), [value]).fetchone()
    return [] if row is None else list(row[0])


def _usable_embedder() -> Embedder | None:
    """Return what made the stored vectors: a question needs the same, or none."""
    stored = store.embedder()
    embedder = chosen()
    if stored == EMBEDDERS["lexical"].name:
        return EMBEDDERS["lexical"]
    return embedder if embedder.name == stored else None


def _rarity(database: Connection, lexemes: Sequence[str]) -> dict[str, float]:
    """Return how much each word tells: one that few documents have tells much."""
    row = database.execute("select count(*) from documents").fetchone()
    total = row[0] if row else 0
    rows = database.execute(FREQUENCIES.encode(), [list(lexemes)]).fetchall()
    return {
        word: math.log(1 + (total - having + 0.5) / (having + 0.5))
        for word, having in rows
    }


def _candidates(
    database: Connection,
    question: str,
    lexemes: Sequence[str],
    embedder: Embedder | None,
) -> list[_Candidate]:
    values = {
        "query": " | ".join(_quoted(lexeme) for lexeme in lexemes),
        "lexemes": list(lexemes),
        "vector": _vector(question, embedder),
        "candidates": CANDIDATES,
        "nearest": NEAREST,
    }
    rows = database.execute(FOUND.encode(), values).fetchall()
    return [_candidate(row, lexemes) for row in rows]


def _quoted(lexeme: str) -> str:
    escaped = lexeme.replace("\\", "\\\\").replace("'", "''")
    return f"'{escaped}'"


def _vector(question: str, embedder: Embedder | None) -> str | None:
    if embedder is None:
        return None
    [vector] = model(embedder.name).vectors([question])
    return store.literal(vector) if any(vector) else None


def _candidate(row: Sequence[object], lexemes: Sequence[str]) -> _Candidate:
    uri, title, removed, document_id, position, text, near, length, counts, *rest = row
    in_title, in_summary = (set(words) for words in rest)  # type: ignore[call-overload]
    weighed = {
        word: float(counts.get(word, 0))  # type: ignore[attr-defined]
        + IN_TITLE * (word in in_title)
        + IN_SUMMARY * (word in in_summary)
        for word in lexemes
    }
    return _Candidate(
        passage=Passage(
            document=str(title), uri=str(uri), score=0.0, passage=str(text),
            removed=bool(removed),
        ),
        document_id=int(str(document_id)), position=int(str(position)),
        nearness=max(0.0, float(str(near))) if near is not None else 0.0,
        length=int(str(length)), counts=weighed,
    )  # fmt: skip


def _scored(
    candidates: Sequence[_Candidate], rarity: Mapping[str, float], weight: float
) -> list[_Candidate]:
    """Return the candidates, best first, each with its score."""
    usual = sum(one.length for one in candidates) / max(1, len(candidates)) or 1.0
    ideal = sum(rarity.values()) * (SATURATION + 1)
    scored: list[_Candidate] = []
    for one in candidates:
        words = _word_score(one, rarity, usual) / ideal if ideal else 0.0
        score = (1 - weight) * words + weight * one.nearness if ideal else one.nearness
        passage = replace(one.passage, score=round(score, 4))
        scored.append(replace(one, passage=passage))
    return sorted(scored, key=_place)


def _place(one: _Candidate) -> tuple[float, str, int]:
    """Order by score; equals keep the same order every time."""
    return -one.passage.score, one.passage.uri, one.position


def _word_score(one: _Candidate, rarity: Mapping[str, float], usual: float) -> float:
    harm = SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * one.length / usual)
    return sum(
        tells * one.counts[word] * (SATURATION + 1) / (one.counts[word] + harm)
        for word, tells in rarity.items()
        if one.counts[word]
    )


def _spread(scored: Sequence[_Candidate], limit: int) -> list[Passage]:
    """Return the first ones, but no more of one document than a reader wants."""
    taken: dict[int, int] = {}
    best: list[Passage] = []
    for one in scored:
        times = taken.get(one.document_id, 0)
        if one.passage.score > 0 and times < PER_DOCUMENT and len(best) < limit:
            taken[one.document_id] = times + 1
            best.append(one.passage)
    return best
