"""The parameters of Algorithm 1 and of this project's extensions."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

from exleak.aexl.filters import FILTERS
from exleak.errors import SettingsError

TRUNCATIONS = ("natural", "half")


@dataclass(frozen=True)
class Recipe:
    """Parameters for building a dataset; the defaults give 200 samples and 600 test prompts.

    Attributes:
        top: m, the number of most confident sentences kept per class.
        sampled: n, the number of these sampled per class, weighted by confidence; half of the
            neutral ones become controls.
        samples: k, the number of samples of the dataset.
        seed: Random seed of the sampling.
        min_words, max_words: Length of a sentence, in words.
        min_control_words, max_control_words: Length of a control phrase, in words.
        truncation: ``"natural"`` stops after a word that leaves the sentence open, ``"half"``
            after half of the words.
        min_confidence: Minimum probability of a sentence's most probable class, and with the filter
            "weak mood" minimum confidence of the word list.
        max_lean: Largest distance between a control phrase's P[positive] and P[negative].
        max_similarity: Largest cosine similarity of an injected sentence and its control; they
            also share no content word. 1 turns both checks off.
        max_paraphrase: Cosine similarity above which two sentences of a class are paraphrases. 1
            turns the check off.
        max_overlap: Share of common words (Jaccard) above which two sentences are near duplicates;
            also, no two controls begin with the same words. 1 turns both checks off.
        balance: Whether to choose sentences of equal length for the three classes.
        filters: Names of the filters used (see :data:`exleak.aexl.filters.FILTERS`).
        reserve: Candidates held in memory per class, as a multiple of ``top``; they replace near
            duplicates.

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
    min_confidence: float = 0.6
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
        """Parameters for the plain Algorithm 1, without filters, balancing and limits.

        Half of the neutral sample become controls, exactly as many as needed. Each sentence must
        give a control, so truncation is ``"half"``.

        Args:
            changes: Parameters to override.
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
