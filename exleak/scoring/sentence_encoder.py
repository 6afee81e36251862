"""Any SentenceBERT checkpoint with mean pooling as a semantic scorer."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import InstrumentError
from exleak.hub import bounded
from exleak.progress import advance_texts, spread
from exleak.scoring.checkpoint import content_hash, load_checkpoint, max_tokens, tokenized
from exleak.surrogates import replace_surrogates

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SentenceEncoder"]

POOLING = "mean over tokens, unit length, version 1"
BATCH_ROWS = 64
#: Maximum length: that of paraphrase-multilingual-MiniLM-L12-v2. First sentences are shorter.
MAX_TOKENS = 128
_FIFTY = (
    "ar bg ca cs da de el en es et fa fi fr gl gu he hi hr hu hy id it ja ka ko ku lt lv mk mn mr "
    "ms my nb nl pl pt ro ru sk sl sq sr sv th tr uk ur vi zh"
)
#: The languages that checkpoints were trained on, by the last part of their names.
_LANGUAGES = {
    "all-MiniLM-L6-v2": ("en",),
    "all-MiniLM-L12-v2": ("en",),
    "all-mpnet-base-v2": ("en",),
    "paraphrase-multilingual-MiniLM-L12-v2": tuple(_FIFTY.split()),
}
_MODULES = {"Transformer", "Pooling", "Normalize"}


class SentenceEncoder:
    """Embeddings of a checkpoint of sentence-transformers, in float32, by mean pooling.

    Args:
        name_or_path: A folder or a hub name.

    Attributes:
        languages: The languages it was trained on; ``None`` if unknown.

    Raises:
        InstrumentError: It cannot be loaded, or does not pool by the mean.

    Reference: N. Reimers and I. Gurevych, Making Monolingual Sentence Embeddings Multilingual using
    Knowledge Distillation, EMNLP 2020.
    """

    def __init__(self, name_or_path: str) -> None:
        self.name = name_or_path
        self.languages = _LANGUAGES.get(Path(name_or_path).name)
        self._model, self._tokenizer = load_checkpoint(name_or_path, "semantic")
        _check_modules(name_or_path)
        self._max_tokens = min(MAX_TOKENS, max_tokens(self._model, self._tokenizer))
        self._hash: str | None = None

    @property
    def hash(self) -> str:
        """Hex sha256 over weights, vocabulary and pooling."""
        if self._hash is None:
            self._hash = content_hash(POOLING, self._model, self._tokenizer, self._max_tokens)
        return self._hash

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Embed texts.

        Args:
            texts: n texts, not preprocessed; longer ones are cut.

        Returns:
            Unit vectors (n, d).

        Raises:
            InstrumentError: An embedding is not finite.
        """
        import numpy as np

        distinct = sorted(dict.fromkeys(texts), key=len)
        rows: dict[str, NDArray[np.float64]] = {}
        for start in spread(range(0, len(distinct), BATCH_ROWS)):
            batch = distinct[start : start + BATCH_ROWS]
            rows.update(zip(batch, self._means(batch), strict=True))
            advance_texts(batch)
        width = int(self._model.config.hidden_size)
        vectors = np.array([rows[text] for text in texts], np.float64).reshape(len(texts), width)
        if not np.isfinite(vectors).all():
            raise InstrumentError(
                f"{self.name} gave an embedding that is not finite. Its weights are damaged or it "
                "does not run in float32: load it in transformers and check its output."
            )
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _means(self, batch: Sequence[str]) -> NDArray[np.float64]:
        """Token states of the last layer, averaged over each text's tokens (rows, d)."""
        import torch

        plain = [replace_surrogates(text) for text in batch]
        inputs = tokenized(self._model, self._tokenizer, plain, self._max_tokens)
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state
        mask = inputs["attention_mask"][:, :, None]
        means: NDArray[np.float64] = ((states * mask).sum(1) / mask.sum(1)).double().cpu().numpy()
        return means


def _check_modules(name_or_path: str) -> None:
    """Refuse a checkpoint that does more than mean pooling after its transformer.

    Raises:
        InstrumentError: It has another pooling or further layers.
    """
    modules = _json(name_or_path, "modules.json") or []
    found = {str(module["type"]).rpartition(".")[2]: str(module["path"]) for module in modules}
    if others := sorted(found.keys() - _MODULES):
        raise InstrumentError(
            f"{name_or_path!r} has the modules {', '.join(others)} after its transformer, which "
            "exleak does not run; choose a SentenceBERT checkpoint with mean pooling."
        )
    if "Pooling" not in found:
        return
    pooling = _json(name_or_path, f"{found['Pooling']}/config.json") or {}
    modes = [key for key, on in pooling.items() if key.startswith("pooling_mode_") and on is True]
    if modes and modes != ["pooling_mode_mean_tokens"]:
        raise InstrumentError(
            f"{name_or_path!r} pools by {', '.join(modes)}; choose a SentenceBERT checkpoint with "
            "mean pooling (pooling_mode_mean_tokens alone)."
        )


@bounded
def _json(name_or_path: str, file: str) -> Any:
    """The content of a JSON file of a checkpoint; ``None`` without that file."""
    from transformers.utils import cached_file

    path = cached_file(
        name_or_path, file, _raise_exceptions_for_missing_entries=False,
        _raise_exceptions_for_connection_errors=False,
    )  # fmt: skip
    return None if path is None else json.loads(Path(path).read_text(encoding="utf-8"))
