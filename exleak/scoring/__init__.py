"""The two scorers: expression (negative, neutral, positive) and semantic similarity.

>>> from exleak.scoring import load_instrument
>>> instrument = load_instrument("embedded")
>>> instrument.expression.predict(["a lovely day."]).shape
(1, 3)
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from exleak.errors import InstrumentError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "LABELS",
    "PAPER_CHECKPOINT",
    "ExpressionScorer",
    "Instrument",
    "InstrumentError",
    "SemanticScorer",
    "load_instrument",
]

LABELS = ("negative", "neutral", "positive")
PAPER_CHECKPOINT = "cardiffnlp/twitter-roberta-base-sentiment"


class ExpressionScorer(Protocol):
    """Gives texts a probability for each of `LABELS`."""

    @property
    def hash(self) -> str:
        """Hex sha256 over weights, label mapping and preprocessing version."""

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3): negative, neutral, positive; rows sum to 1."""


class SemanticScorer(Protocol):
    """Puts texts into a space where a dot product is a similarity."""

    @property
    def hash(self) -> str:
        """Hex sha256 over the weights and the pooling."""

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, d)."""


@dataclass(frozen=True)
class Instrument:
    """The pair of scorers that a measurement is made with.

    Attributes:
        name: The name or path it was asked for by.
        expression: The expression scorer.
        semantic: The semantic scorer.
    """

    name: str
    expression: ExpressionScorer
    semantic: SemanticScorer

    @property
    def languages(self) -> tuple[str, ...] | None:
        """The languages that the expression scorer knows; ``None`` where nothing is known."""
        return getattr(self.expression, "languages", None)

    @property
    def hash(self) -> str:
        """Hex sha256 of both scorers' hashes: results compare only where it is equal."""
        parts = f"expression {self.expression.hash}\nsemantic {self.semantic.hash}\n"
        return hashlib.sha256(parts.encode()).hexdigest()

    @property
    def short_hash(self) -> str:
        """The first twelve digits of `hash`, for people."""
        return self.hash[:12]


def load_instrument(name_or_path: str = "embedded") -> Instrument:
    """Load a pair of scorers; named ones once per process, folders anew at every call.

    A folder's weights may be overwritten in place, so its path does not say what is in it.

    Args:
        name_or_path: `"embedded"` (no network: a small head on SentenceBERT), `"paper"` (the
            classifier that the paper used), or the folder or hub name of any three-class
            sequence-classification checkpoint. The semantic scorer is SentenceBERT in all.

    Raises:
        InstrumentError: Weights are missing, corrupted or of the wrong kind.
    """
    return _load(name_or_path) if Path(name_or_path).exists() else _load_once(name_or_path)


def _load(name_or_path: str) -> Instrument:
    from exleak.scoring.semantic import SentenceBert

    if name_or_path == "embedded":
        from exleak.scoring.expression import EmbeddedHead

        return Instrument(name_or_path, EmbeddedHead(), SentenceBert())
    from exleak.scoring.checkpoint import Checkpoint

    checkpoint = PAPER_CHECKPOINT if name_or_path == "paper" else name_or_path
    return Instrument(name_or_path, Checkpoint(checkpoint), SentenceBert())


_load_once = functools.cache(_load)
