"""The report of a build: counts for a JSON file beside the dataset, and as lines of text."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from exleak.records import CLASSES, to_json

#: Largest difference between the classes' mean lengths without a warning, in wordpieces.
LENGTH_MARGIN = 0.5


@dataclass
class Report:
    """The counts of a build, filled in step by step.

    Attributes:
        dataset: Name, version, sha256 and number of samples of the dataset.
        sources: The sources, as named by the caller.
        instrument: Name and hash of the expression scorer that gave the labels, and the hash of
            the second one that they were checked by, if there is one.
        recipe: The parameters.
        records: Number of records read, and of those without a text by reason.
        sentences: Number of sentences found, rejected by filter, and passed by class.
        classes: For each class, the counts between the filters and the sample.
        controls: Counts of the neutral sentences set aside for controls, by outcome.
        lengths: For each class, the mean length in wordpieces, in the sample and in the dataset.
        similarity: For each class, mean and largest cosine similarity to the control.
        lean: Mean of P[positive] − P[negative] over the control phrases.
        warnings: Results that fall short of the request.
    """

    dataset: dict[str, Any] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    instrument: dict[str, str] = field(default_factory=dict)
    recipe: dict[str, Any] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    sentences: dict[str, Any] = field(default_factory=dict)
    classes: dict[str, dict[str, Any]] = field(default_factory=dict)
    controls: dict[str, int] = field(default_factory=dict)
    lengths: dict[str, dict[str, float]] = field(default_factory=dict)
    similarity: dict[str, dict[str, float]] = field(default_factory=dict)
    lean: float | None = None
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready builtins."""
        values = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        return {"schema": 1, **{key: to_json(value) for key, value in values.items()}}

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        yield f"records     {_counts(self.records)}"
        rejected, passed = self.sentences["rejected"], self.sentences["passed"]
        yield f"sentences   found {self.sentences['found']}"
        yield f"rejected    {_counts(rejected) or 'none'}"
        yield f"passed      {_counts(passed)}"
        for label in CLASSES:
            yield f"{label:11} {_counts(self.classes[label])}"
        yield f"controls    {_counts(self.controls)}"
        for label in reversed(CLASSES):
            length, similar = self.lengths[label], self.similarity[label]
            yield (
                f"{label:11} {length['dataset']:.2f} wordpieces ({length['sampled']:.2f} before "
                f"balancing); similarity to the control {similar['mean']:.2f}, at most "
                f"{similar['largest']:.2f}"
            )
        yield from (f"warning: {warning}" for warning in self.warnings)

    def spread(self) -> float:
        """Largest difference between the classes' mean lengths in the dataset, in wordpieces."""
        means = [entry["dataset"] for entry in self.lengths.values()]
        return max(means) - min(means)


def _counts(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
