"""The parameters of Algorithm 1 and of what this project adds to it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from exleak.aexl.filters import FILTERS
from exleak.errors import SettingsError

TRUNCATIONS = ("natural", "half")


@dataclass(frozen=True)
class Recipe:
    """How a dataset is built; the defaults give 200 samples and 600 test prompts.

    Attributes:
        top: m, the sentences kept per class, by confidence.
        sampled: n, the sentences sampled per class from those, weighted by confidence; half of
            the neutral ones become controls.
        samples: k, the samples of the dataset.
        seed: Of the sampling, and of every choice among equals.
        min_words, max_words: Length of a sentence, in words.
        min_control_words, max_control_words: Length of a control phrase, in words.
        truncation: ``"natural"`` stops behind a word that leaves the sentence open, ``"half"``
            after half of the words.
        min_confidence: Sentences whose likeliest class is less likely are left out.
        max_lean: Of a control phrase, largest distance between P[positive] and P[negative].
        max_similarity: Largest cosine similarity of an injected sentence and its control; they
            also share no word with a topic. At 1 nothing is asked.
        max_paraphrase: Cosine similarity above which two sentences of a class say the same. At 1
            nothing is asked.
        max_overlap: Share of common words (Jaccard) above which two sentences are near duplicates;
            no two controls begin alike either. At 1 nothing is asked.
        balance: Choose sentences of equal length for the three classes.
        filters: Names of the filters used (see :data:`exleak.aexl.filters.FILTERS`).
        reserve: Sentences held in memory per class, as a multiple of ``top``: near duplicates are
            replaced from there.

    Raises:
        SettingsError: A parameter is out of its range.
    """

    top: int = 700
    sampled: int = 600
    samples: int = 200
    seed: int = 0
    min_words: int = 5
    max_words: int = 25
    min_control_words: int = 3
    max_control_words: int = 8
    truncation: str = "natural"
    min_confidence: float = 0.5
    max_lean: float = 0.25
    max_similarity: float = 0.35
    max_paraphrase: float = 0.8
    max_overlap: float = 0.6
    balance: bool = True
    filters: tuple[str, ...] = FILTERS
    reserve: int = 4

    def __post_init__(self) -> None:
        for name in ("top", "sampled", "samples", "min_words", "min_control_words", "reserve"):
            if getattr(self, name) < 1:
                raise SettingsError(f"{name} must be at least 1, not {getattr(self, name)}")
        for low, high in (("min_words", "max_words"), ("min_control_words", "max_control_words")):
            if getattr(self, low) > getattr(self, high):
                raise SettingsError(f"{low} must be at most {high}")
        for name in ("min_confidence", "max_lean", "max_similarity", "max_paraphrase",
                     "max_overlap"):  # fmt: skip
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"{name} must be from 0 to 1, not {getattr(self, name)}")
        if self.sampled > self.top or self.sampled < 2 * self.samples:
            raise SettingsError(
                f"of the top {self.top} sentences of a class {self.sampled} cannot be sampled for "
                f"{self.samples} samples: twice the samples are needed, at most the top"
            )
        if self.truncation not in TRUNCATIONS:
            raise SettingsError(
                f"truncation must be one of {', '.join(TRUNCATIONS)}, not {self.truncation!r}"
            )
        if unknown := [name for name in self.filters if name not in FILTERS]:
            raise SettingsError(f"unknown filter {unknown[0]!r}: give some of {', '.join(FILTERS)}")

    @classmethod
    def published(cls, **changes: Any) -> Recipe:
        """Algorithm 1 alone, without filters, balancing and limits.

        Half of the neutral sample become controls, and as many are needed: each sentence must give
        one, so they are cut in half.

        Args:
            changes: Parameters that shall differ from that.
        """
        settings: dict[str, Any] = {
            "sampled": 400, "min_confidence": 0.0, "max_lean": 1.0, "max_similarity": 1.0,
            "max_paraphrase": 1.0, "max_overlap": 1.0, "balance": False, "filters": (),
            "reserve": 1, "truncation": "half",
        }  # fmt: skip
        return cls(**{**settings, **changes})

    def to_json(self) -> dict[str, Any]:
        """The parameters as JSON-ready builtins."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {**values, "filters": list(self.filters)}
