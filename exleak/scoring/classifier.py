"""Any three-class sequence-classification checkpoint as an expression scorer."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import InstrumentError
from exleak.hub import bounded
from exleak.surrogates import replace_surrogates

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

__all__ = ["Classifier", "label_columns", "preprocess"]

PREPROCESSING = "handles to @user, links to http, version 1"
BATCH_ROWS = 64
#: Checkpoints trained on English only, by the last part of their names.
_ENGLISH = frozenset({"twitter-roberta-base-sentiment", "twitter-roberta-base-sentiment-latest"})
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
        self.languages = ("en",) if Path(name_or_path).name in _ENGLISH else None
        self.truncated = 0
        self._model, self._tokenizer = _load(name_or_path)
        self._columns = label_columns(self._model.config.id2label, name_or_path)
        self._max_tokens = _max_tokens(self._model, self._tokenizer)
        self._sure = self._max_tokens - 8
        self._hash: str | None = None

    @property
    def hash(self) -> str:
        """Hex sha256 over weights, label mapping, vocabulary and preprocessing."""
        if self._hash is None:
            digest = hashlib.sha256(f"{PREPROCESSING} {self._columns}".encode())
            for name, tensor in sorted(self._model.state_dict().items()):
                digest.update(name.encode())
                digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
            digest.update(repr(sorted(self._tokenizer.get_vocab().items())).encode())
            digest.update(str(self._max_tokens).encode())
            self._hash = digest.hexdigest()
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
        for start in range(0, len(order), BATCH_ROWS):
            batch = [distinct[index] for index in order[start : start + BATCH_ROWS]]
            rows.update(zip(batch, self._probabilities(batch), strict=True))
        return np.array([rows[text] for text in texts], dtype=np.float64).reshape(len(texts), 3)

    def _probabilities(self, batch: Sequence[str]) -> NDArray[np.float64]:
        import torch

        inputs = self._tokenizer(
            [preprocess(text) for text in batch],
            padding=True,
            truncation=True,
            max_length=self._max_tokens,
            return_tensors="pt",
        ).to(self._model.device)
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


@bounded
def _load(name_or_path: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(name_or_path)
        model, loaded = AutoModelForSequenceClassification.from_pretrained(
            name_or_path, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        raise InstrumentError(
            f"The expression checkpoint {name_or_path!r} could not be loaded: it is no folder "
            "with a sequence-classification model, and neither the Hugging Face hub nor its "
            f"cache has it here ({type(error).__name__}: {str(error).splitlines()[0][:200]}). "
            "Give the path of a downloaded copy, run once with network access, or use "
            '--leakage-instrument embedded (load_instrument("embedded")), which needs none.'
        ) from error
    if loaded["missing_keys"] or loaded["mismatched_keys"]:
        missing = sorted(map(str, [*loaded["missing_keys"], *loaded["mismatched_keys"]]))
        raise InstrumentError(
            f"{name_or_path!r} has no weights for {', '.join(missing[:5])}: transformers would "
            "make them up at random. Choose a checkpoint that was trained to classify."
        )
    return model.eval(), tokenizer


def _max_tokens(model: Any, tokenizer: Any) -> int:
    """The model's maximum length: its positions, less the two that RoBERTa reserves."""
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    reserved = 2 if "roberta" in str(model.config.model_type) else 0
    return min(positions - reserved, int(tokenizer.model_max_length))
