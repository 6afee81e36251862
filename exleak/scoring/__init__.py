"""The two scorers: expression (negative, neutral, positive) and semantic similarity.

>>> from exleak.scoring import load_instrument
>>> instrument = load_instrument("embedded")
>>> instrument.expression.predict(["a lovely day."]).shape
(1, 3)
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from exleak.errors import InstrumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "INSTRUMENTS",
    "LABELS",
    "MULTILINGUAL_CHECKPOINT",
    "MULTILINGUAL_ENCODER",
    "PAPER_CHECKPOINT",
    "ExpressionScorer",
    "Instrument",
    "InstrumentError",
    "SemanticScorer",
    "load_instrument",
]

LABELS = ("negative", "neutral", "positive")
PAPER_CHECKPOINT = "cardiffnlp/twitter-roberta-base-sentiment"
MULTILINGUAL_CHECKPOINT = "cardiffnlp/twitter-xlm-roberta-base-sentiment"
MULTILINGUAL_ENCODER = "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
#: What separates a classifier from an encoder in the name of an instrument.
_AND = "+"


class ExpressionScorer(Protocol):
    """A classifier that gives texts a probability for each of `LABELS`."""

    @property
    def hash(self) -> str:
        """Hex sha256 over weights, label mapping and preprocessing version."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3): negative, neutral, positive; rows sum to 1."""


class SemanticScorer(Protocol):
    """An encoder whose embeddings have their cosine similarity as dot product."""

    @property
    def hash(self) -> str:
        """Hex sha256 over the weights and the pooling."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, d)."""


@dataclass(frozen=True)
class Instrument:
    """The pair of scorers that a measurement uses.

    Attributes:
        name: The name or path that was passed to `load_instrument`.
        expression: The expression scorer.
        semantic: The semantic scorer.
    """

    name: str
    expression: ExpressionScorer
    semantic: SemanticScorer

    @property
    def languages(self) -> tuple[str, ...] | None:
        """The languages of the expression scorer; ``None`` if unknown."""
        return getattr(self.expression, "languages", None)

    def check_languages(self, language: str, injected: str) -> None:
        """Refuse texts in a language that a scorer does not know.

        A scorer that does not say which languages it knows is not refused.

        Args:
            language: Language of the continuations, an ISO 639 code.
            injected: Language of the injected sentences.

        Raises:
            InstrumentError: The expression scorer does not know the first, or the semantic scorer
                one of both.
        """
        asked = {"expression": {language}, "semantic": {language, injected}}
        for kind, languages in asked.items():
            known = getattr(getattr(self, kind), "languages", None)
            if known is not None and (unknown := sorted(languages - set(known))):
                raise InstrumentError(
                    f"instrument {self.name}: its {kind} scorer knows the languages "
                    f"{', '.join(known)}, and the texts are in {' and '.join(unknown)}. Use "
                    "--leakage-instrument multilingual, or CLASSIFIER+ENCODER with two checkpoints "
                    "that know the language (docs/languages.md)."
                )

    @property
    def hash(self) -> str:
        """Hex sha256 of both scorers' hashes; only results with equal hashes are comparable."""
        parts = f"expression {self.expression.hash}\nsemantic {self.semantic.hash}\n"
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def short_hash(self) -> str:
        """The first twelve digits of `hash`, for display."""
        return self.hash[:12]


def load_instrument(name_or_path: str = "embedded") -> Instrument:
    """Load a pair of scorers: named ones once per process, folders again at every call.

    Folders are not cached, because their weights may be overwritten in place.

    Args:
        name_or_path: `"embedded"` (no network: an adapter and a small head on SentenceBERT),
            `"embedded-1"` (its first version, for results from before), `"paper"` (the
            classifier that the paper used), `"multilingual"` (both scorers for eight languages), or
            the folder or hub name of any three-class sequence-classification checkpoint. The
            semantic scorer is SentenceBERT all-MiniLM-L6-v2, for English, unless one is named after
            a plus sign: `"CLASSIFIER+ENCODER"`, a checkpoint of sentence-transformers.

    Raises:
        InstrumentError: The weights are missing, corrupted or of the wrong kind.
    """
    is_folder = any(part and Path(part).exists() for part in (name_or_path, *_parts(name_or_path)))
    return _load(name_or_path) if is_folder else _load_once(name_or_path)


def _parts(name_or_path: str) -> tuple[str, str]:
    """The names of the expression and of the semantic scorer; empty for the default one."""
    if Path(name_or_path).exists():
        return name_or_path, ""
    expression, _, encoder = name_or_path.partition(_AND)
    encoder = encoder or (expression if expression in _ENCODERS else "")
    return expression, _ENCODERS.get(encoder, encoder)


def _embedded(version: int) -> ExpressionScorer:
    from exleak.scoring.expression import EmbeddedHead
    from exleak.scoring.head import HEADS, Head

    return EmbeddedHead(Head(HEADS[version]))


def _classifier(folder_or_name: str) -> ExpressionScorer:
    from exleak.scoring.classifier import Classifier

    return Classifier(folder_or_name)


#: The named instruments: what makes the expression scorer of each.
INSTRUMENTS: dict[str, Callable[[], ExpressionScorer]] = {
    "embedded": functools.partial(_embedded, 2),
    "embedded-1": functools.partial(_embedded, 1),
    "paper": functools.partial(_classifier, PAPER_CHECKPOINT),
    "multilingual": functools.partial(_classifier, MULTILINGUAL_CHECKPOINT),
}
#: The encoders of named instruments that do not use the default one.
_ENCODERS = {"multilingual": MULTILINGUAL_ENCODER}


def _semantic(encoder: str) -> SemanticScorer:
    if encoder:
        from exleak.scoring.sentence_encoder import SentenceEncoder

        return SentenceEncoder(encoder)
    from exleak.scoring.semantic import SentenceBert

    return SentenceBert()


def _load(name_or_path: str) -> Instrument:
    expression, encoder = _parts(name_or_path)
    make = INSTRUMENTS.get(expression, functools.partial(_classifier, expression))
    return Instrument(name_or_path, make(), _semantic(encoder))


_load_once = functools.cache(_load)
