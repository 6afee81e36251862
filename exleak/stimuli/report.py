"""What is told of an import: counts per class, balance of lengths, reuse, what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from exleak.aexl.report import LENGTH_MARGIN
from exleak.records import CLASSES, to_json
from exleak.stimuli.classes import Cuts
from exleak.stimuli.reading import Stimulus


@dataclass(frozen=True)
class ClassUse:
    """What became of the stimuli of one class.

    Attributes:
        read, used: Number of stimuli in the file, and in the dataset.
        fewest, most: How often one in the dataset is used.
        read_length, length: Mean length in tokens, in the file and over the dataset's samples.
    """

    read: int
    used: int
    fewest: int
    most: int
    read_length: float
    length: float


@dataclass(frozen=True)
class Imported:
    """The report of an import.

    Attributes:
        dataset, version: Name and version of the dataset.
        samples: Number of samples.
        controls: Number of controls that there were.
        cuts: The valences that separate the classes; ``None`` for labels.
        classes: What became of the stimuli of each class.
        equal: Number of samples whose three sentences have the same length.
        gap: Largest difference of lengths within a sample, in tokens.
        tokenizer: Name of the tokenizer that lengths are counted with.
        with_intensity: Number of sentences in the samples whose intensity is known.
        warnings: What falls short.
    """

    dataset: str
    version: str
    samples: int
    controls: int
    cuts: Cuts | None
    classes: dict[str, ClassUse]
    equal: int
    gap: int
    tokenizer: str
    with_intensity: int
    warnings: tuple[str, ...]

    @classmethod
    def of(
        cls,
        rows: Sequence[Mapping[str, Any]],
        classes: Mapping[str, Sequence[Stimulus]],
        lengths: Mapping[str, int],
        *,
        dataset: str,
        version: str,
        controls: int,
        cuts: Cuts | None,
        tokenizer: str,
    ) -> Imported:
        """The report of these samples.

        Args:
            rows: The samples' fields in the dataset file.
            classes: The stimuli of each class in the file.
            lengths: The length of each sentence in the file.
            dataset, version, controls, cuts, tokenizer: See the attributes.
        """
        uses = {
            label: _use(members, [row[label] for row in rows], lengths)
            for label, members in classes.items()
        }
        gaps = [_gap(row, lengths) for row in rows]
        return cls(
            dataset=dataset,
            version=version,
            samples=len(rows),
            controls=controls,
            cuts=cuts,
            classes=uses,
            equal=gaps.count(0),
            gap=max(gaps),
            tokenizer=tokenizer,
            with_intensity=sum(len(row.get("intensity", ())) for row in rows),
            warnings=tuple(_warnings(uses, lengths, len(rows))),
        )

    def to_json(self) -> dict[str, Any]:
        """The report as JSON-ready builtins."""
        value = to_json(self)
        assert isinstance(value, dict)
        return value

    def lines(self) -> Iterator[str]:
        """The report as lines of text."""
        if self.cuts is not None:
            yield (
                f"valence: below {self.cuts.negative_below:.4g} negative, above "
                f"{self.cuts.positive_above:.4g} positive"
            )
        yield "class     read  used  times  length  in the file"
        for label in reversed(CLASSES):
            item = self.classes[label]
            times = f"{item.fewest}–{item.most}" if item.fewest < item.most else str(item.most)
            yield (
                f"{label:9} {item.read:4}  {item.used:4}  {times:>5}  {item.length:6.2f}  "
                f"{item.read_length:11.2f}"
            )
        yield (
            f"length in {self.tokenizer}: equal in {self.equal} of {self.samples} samples, at most "
            f"{self.gap} apart"
        )
        unused = sum(item.read - item.used for item in self.classes.values())
        yield (
            f"left out: {unused} stimuli, as {self.samples} samples need no more and others agree "
            f"better in length; {self.controls - self.samples} controls"
        )
        if self.with_intensity:
            yield f"intensity: of {self.with_intensity} of the {3 * self.samples} sentences"
        yield from (f"warning: {warning}" for warning in self.warnings)


def _use(members: Sequence[Stimulus], used: Sequence[str], lengths: Mapping[str, int]) -> ClassUse:
    times = Counter(used)
    return ClassUse(
        read=len(members),
        used=len(times),
        fewest=min(times.values()),
        most=max(times.values()),
        read_length=fmean(lengths[item.sentence] for item in members),
        length=fmean(lengths[text] for text in used),
    )


def _gap(row: Mapping[str, Any], lengths: Mapping[str, int]) -> int:
    counted = [lengths[row[label]] for label in CLASSES]
    return max(counted) - min(counted)


def _warnings(
    uses: Mapping[str, ClassUse], sentences: Iterable[str], samples: int
) -> Iterator[str]:
    means = [item.length for item in uses.values()]
    if max(means) - min(means) > LENGTH_MARGIN:
        yield (
            f"the classes' mean lengths differ by {max(means) - min(means):.2f} tokens: an effect "
            "of length cannot be told from one of mood; fewer --samples leave more choice"
        )
    for label, item in uses.items():
        if item.most > 1:
            yield (
                f"{item.used} {label} sentences for {samples} samples: each is used up to "
                f"{item.most} times, so intervals are as wide as that few sentences make them"
            )
    if bare := sum(not text.endswith(tuple(".!?…\"'”’)")) for text in sentences):
        yield f"{bare} stimuli end without a full stop: their control follows as if it went on"
