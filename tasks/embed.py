"""Vectors for passages, on the `gpu` queue: the model is loaded once a worker."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import import_module
from typing import Protocol, cast

from headway import Retry, exponential
from headway.errors import ConfigurationError
from queues import app
from tasks import task
from tasks.brain import lexical, store
from tasks.brain.trouble import PASSING, noted


class Model(Protocol):
    """Turns texts into vectors, all of them at once."""

    def vectors(self, texts: Sequence[str]) -> Iterable[list[float]]:
        """Return a vector of length 1 for each text."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedder:
    """A way to make vectors; knowing of it loads nothing."""

    name: str
    dimensions: int
    #: How much its nearness counts in a search, beside the words of the question.
    weight: float


EMBEDDERS = {
    "lexical": Embedder(name=lexical.NAME, dimensions=lexical.DIMENSIONS, weight=0.25),
    "minilm": Embedder(name="all-MiniLM-L6-v2", dimensions=384, weight=0.5),
}


class LexicalHash:
    """Hashed words; see `tasks.brain.lexical` for what it cannot do."""

    def vectors(self, texts: Sequence[str]) -> Iterable[list[float]]:
        """Return a vector of length 1 for each text that has words."""
        return (lexical.vector(text) for text in texts)


def chosen() -> Embedder:
    """Return the embedder that `HEADWAY_EMBEDDER` names: `lexical` if nothing does.

    Raises:
        ConfigurationError: where there is none of that name.
    """
    written = os.environ.get("HEADWAY_EMBEDDER") or "lexical"
    if written not in EMBEDDERS:
        raise ConfigurationError(
            f"HEADWAY_EMBEDDER={written!r}: expected one of {sorted(EMBEDDERS)}"
        )
    return EMBEDDERS[written]


def check() -> None:
    """Refuse an embedder that could not be loaded, before any work is begun.

    Raises:
        ConfigurationError: there is none of that name, or it is not installed.
    """
    if chosen() == EMBEDDERS["minilm"]:
        import_module("tasks.brain.minilm").model_folder()


@cache
def model(name: str) -> Model:
    """Load a model: slow the first time, at once from then on."""
    if name == lexical.NAME:
        return LexicalHash()
    # numpy, the tokenizer and 90 MB of weights are there only for those who ask.
    return cast("Model", import_module("tasks.brain.minilm").MiniLM())


@app.on_worker_start(queue="gpu")
def warm() -> None:
    """Load the model before the first job, so that forked jobs share it."""
    model(chosen().name)


@task(
    queue="gpu",
    retry=Retry(attempts=4, backoff=exponential(base=1), on=PASSING),
    timeout=timedelta(minutes=30),
)
def embed(document_id: int) -> int:
    """Give every passage of a document its vector; return how many there are."""
    with noted(document_id, "could not be embedded"):
        embedder = chosen()
        passages = store.passages(document_id)
        if passages is None:
            return 0
        vectors = list(model(embedder.name).vectors(passages.texts))
        current = store.set_vectors(document_id, passages.hash, embedder.name, vectors)
    return len(vectors) if current else 0
