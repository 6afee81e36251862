"""Any three-class sequence-classification checkpoint as an expression scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.errors import InstrumentError
from exleak.progress import advance_texts, spread
from exleak.scoring.checkpoint import content_hash, load_checkpoint, max_tokens, tokenized
from exleak.surrogates import replace_surrogates

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Classifier", "label_columns", "preprocess"]

PREPROCESSING = "handles to @user, links to http, version 1"
BATCH_ROWS = 64
#: The languages that checkpoints were trained on, by the last part of their names.
_LANGUAGES = {
    "twitter-roberta-base-sentiment": ("en",),
    "twitter-roberta-base-sentiment-latest": ("en",),
    "twitter-xlm-roberta-base-sentiment": ("ar", "de", "en", "es", "fr", "hi", "it", "pt"),
}
_COLUMNS = {
    "negative": 0, "neg": 0, "label_0": 0,
    "neutral": 1, "neu": 1, "label_1": 1,
    "positive": 2, "pos": 2, "label_2": 2,
}  # fmt: skip


def preprocess(text: str) -> str:
    """Preprocess a text as the model card of cardiffnlp/twitter-roberta-base-sentiment does.

    Words, split at spaces, that start with "@" become "@user"; those that start with "http"
    become "http".
    """

    def replaced(word: str) -> str:
        if word.startswith("@") and len(word) > 1:
            return "@user"
        return "http" if word.startswith("http") else word

    return " ".join(map(replaced, replace_surrogates(text).split(" ")))


def label_columns(id2label: Mapping[int, str], where: str) -> list[int]:
    """The model's output indices for negative, neutral and positive, in this order.

    Raises:
        InstrumentError: The labels are not these three, as names, short forms or LABEL_0..2.
    """
    columns: dict[int, int] = {}
    for output, label in id2label.items():
        meaning = _COLUMNS.get(str(label).strip().lower())
        if meaning is not None:
            columns.setdefault(meaning, int(output))
    if len(columns) != 3 or len(id2label) != 3:
        raise InstrumentError(
            f"{where} has the labels {[str(label) for label in id2label.values()]}; an "
            "expression scorer needs exactly negative, neutral and positive (or neg, neu, pos, "
            "or LABEL_0, LABEL_1, LABEL_2 in that order). Set id2label and label2id in its "
            "config.json, or choose another checkpoint."
        )
    return [columns[meaning] for meaning in range(3)]


class Classifier:
    """Three-class expression probabilities from a transformers checkpoint, in float32.

    Args:
        name_or_path: A folder or a hub name.

    Attributes:
        languages: The languages it was trained on; ``None`` if unknown.
        truncated: Number of texts so far that exceeded the model's maximum length.

    Raises:
        InstrumentError: It cannot be loaded, or has other labels.
    """

    def __init__(self, name_or_path: str) -> None:
        self.name = name_or_path
        self.languages = _LANGUAGES.get(Path(name_or_path).name)
        self.truncated = 0
        self._model, self._tokenizer = load_checkpoint(name_or_path, "expression")
        self._columns = label_columns(self._model.config.id2label, name_or_path)
        self._max_tokens = max_tokens(self._model, self._tokenizer)
        self._sure = self._max_tokens - 8
        self._hash: str | None = None

    @property
    def hash(self) -> str:
        """Hex sha256 over weights, label mapping, vocabulary and preprocessing."""
        if self._hash is None:
            about = f"{PREPROCESSING} {self._columns}"
            self._hash = content_hash(about, self._model, self._tokenizer, self._max_tokens)
        return self._hash

    def longer(self, texts: Sequence[str]) -> int:
        """Number of texts that exceed the model's maximum length."""
        # A text has at most one token per byte, plus a few special tokens.
        may_be = [text for text in texts if len(text.encode("utf-8", "replace")) > self._sure]
        return sum(len(ids) > self._max_tokens for ids in self._ids(may_be)) if may_be else 0

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        return [self._tokenizer(preprocess(text), truncation=False)["input_ids"] for text in texts]

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities.

        Args:
            texts: n texts. Those above the maximum length are cut and counted in `truncated`.

        Returns:
            Probabilities (n, 3): negative, neutral, positive; rows sum to 1.

        Raises:
            InstrumentError: The model gave NaN or infinity.
        """
        import numpy as np

        distinct = list(dict.fromkeys(texts))
        encoded = self._ids(distinct)
        long = {t for t, ids in zip(distinct, encoded, strict=True) if len(ids) > self._max_tokens}
        self.truncated += sum(text in long for text in texts)
        order = sorted(range(len(distinct)), key=lambda index: len(encoded[index]))
        rows: dict[str, NDArray[np.float64]] = {}
        for start in spread(range(0, len(order), BATCH_ROWS)):
            batch = [distinct[index] for index in order[start : start + BATCH_ROWS]]
            rows.update(zip(batch, self._probabilities(batch), strict=True))
            advance_texts(batch)
        return np.array([rows[text] for text in texts], dtype=np.float64).reshape(len(texts), 3)

    def _probabilities(self, batch: Sequence[str]) -> NDArray[np.float64]:
        import torch

        plain = [preprocess(text) for text in batch]
        inputs = tokenized(self._model, self._tokenizer, plain, self._max_tokens)
        with torch.inference_mode():
            logits: torch.Tensor = self._model(**inputs).logits
        if not torch.isfinite(logits).all():
            bad = batch[int((~torch.isfinite(logits)).any(dim=1).nonzero()[0])]
            raise InstrumentError(
                f"{self.name} gave NaN or infinity for {bad[:80]!r}. Its weights are damaged or "
                "it does not run in float32: load it in transformers and check its logits."
            )
        chosen: NDArray[np.float64] = logits[:, self._columns].double().softmax(dim=1).cpu().numpy()
        return chosen
