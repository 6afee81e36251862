"""Dose and response: leakage rates against the intensity of the injected sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak.errors import ComparisonError, DatasetError
from exleak.rates.intervals import clustered_rate
from exleak.rates.pairs import leaks, mean_of
from exleak.records import LEAKING_CONDITIONS, Dataset, Measurement, Rate, Sample, to_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Most levels that intensities are grouped into.
LEVELS = 5
_PERMUTATIONS = 1999


@dataclass(frozen=True)
class Level:
    """The rate at one level of intensity.

    Attributes:
        low, high, mean: The intensities of the level.
        rate: The rate.
    """

    low: float
    high: float
    mean: float
    rate: Rate


@dataclass(frozen=True)
class Curve:
    """A rate against intensity.

    Attributes:
        levels: The levels, weakest first.
        trend: Spearman's rank correlation of intensity and response, -1 to 1; ``None`` if either
            is constant.
        p_value: One-sided p-value of a permutation test that the trend lies above 0; ``None``
            without a trend.
    """

    levels: tuple[Level, ...]
    trend: float | None
    p_value: float | None


@dataclass(frozen=True)
class DoseResponse:
    """The rates of a measurement against intensity.

    Attributes:
        expression: EL of each positive and negative prompt, against the sentence's intensity; the
            trend is that of the difference d.
        directional: The directional value of each sample, against the mean intensity of its
            positive and its negative sentence.
        residual: The same among continuations that do not restate the injected sentence.
    """

    expression: Curve
    directional: Curve
    residual: Curve

    def to_json(self) -> dict[str, Any]:
        """The curves as JSON-ready builtins."""
        value = to_json(self)
        assert isinstance(value, dict)
        return value


class _Dose(NamedTuple):
    """One sentence as a carrier of intensity: what the permutation test exchanges."""

    condition: str
    sentence: str
    intensity: float


class _Item(NamedTuple):
    """A value with its control's text and the sentences that it depends on."""

    value: float
    control: str
    doses: tuple[_Dose, ...]

    @property
    def intensity(self) -> float:
        return mean_of([dose.intensity for dose in self.doses])


def dose_response(measurement: Measurement, dataset: Dataset) -> DoseResponse:
    """The rates of a measurement against the intensities of its dataset.

    Up to :data:`LEVELS` different intensities are a level each; more are grouped into that many
    levels of about equal numbers, and equal intensities stay together. The permutation test
    exchanges the intensities of sentences within a condition (Good 2005), so that sentences used in
    several samples count once.

    Args:
        measurement: A measurement on the dataset.
        dataset: The dataset, with intensities.

    Raises:
        DatasetError: The dataset has no intensities of positive or negative sentences.
        ComparisonError: The measurement is of another dataset.
    """
    samples = _samples(measurement, dataset)
    if not any(set(LEAKING_CONDITIONS) & set(sample.intensity) for sample in dataset.samples):
        raise DatasetError(
            f"dataset {dataset.name}: no positive or negative sentence has an 'intensity'; import "
            "the stimuli with a column of them (--intensity-column)"
        )
    single = [
        _Item(pair.difference, sample.control, (_Dose(pair.condition, *known),))
        for pair in measurement.pairs
        if pair.condition in LEAKING_CONDITIONS
        and pair.difference is not None
        and (sample := samples.get(pair.control)) is not None
        and (known := _known(sample, pair.condition)) is not None
    ]
    return DoseResponse(
        expression=_curve(single, [leaks(item.value) for item in single], null=None),
        directional=_by_sample(measurement.by_control, samples),
        residual=_by_sample(measurement.residual_by_control, samples),
    )


def _samples(measurement: Measurement, dataset: Dataset) -> dict[str, Sample]:
    """The samples of a dataset by the id of their control prompt.

    Raises:
        ComparisonError: The measurement is of another dataset.
    """
    samples = {f"{sample.id}:control": sample for sample in dataset.samples}
    measured = measurement.identity.get("dataset")
    unknown = [pair.control for pair in measurement.pairs if pair.control not in samples]
    if measured not in (None, dataset.hash) or (measured is None and unknown):
        raise ComparisonError(
            f"{measurement.title}: measured on other prompts than those of the dataset "
            f"{dataset.name} {dataset.version}; give the dataset file that was measured"
        )
    return samples


def _known(sample: Sample, condition: str) -> tuple[str, float] | None:
    """The sentence of a condition and its intensity, if that is known."""
    intensity = sample.intensity.get(condition)
    return None if intensity is None else (str(getattr(sample, condition)), intensity)


def _by_sample(values: Mapping[str, float], samples: Mapping[str, Sample]) -> Curve:
    items = []
    for control, value in values.items():
        if (sample := samples.get(control)) is None:
            continue
        known = {name: _known(sample, name) for name in LEAKING_CONDITIONS}
        doses = tuple(_Dose(name, *both) for name, both in known.items() if both is not None)
        if len(doses) == len(LEAKING_CONDITIONS):
            items.append(_Item(value, sample.control, doses))
    return _curve(items, [item.value for item in items], null=0.5)


def _curve(items: Sequence[_Item], shown: Sequence[float], *, null: float | None) -> Curve:
    """The curve of items, with the value of each that its level's rate is the mean of."""
    levels: dict[int, list[int]] = {}
    for place, level in enumerate(_levels([item.intensity for item in items])):
        levels.setdefault(level, []).append(place)
    found = []
    for _, places in sorted(levels.items()):
        members = [items[place] for place in places]
        doses = [item.intensity for item in members]
        rate = clustered_rate(
            [shown[place] for place in places],
            [item.control for item in members],
            *zip(*([dose.sentence for dose in item.doses] for item in members), strict=True),
            null=null,
        )
        found.append(Level(min(doses), max(doses), mean_of(doses), rate))
    return Curve(tuple(found), *_trend(items))


def _levels(intensities: Sequence[float]) -> list[int]:
    """The number of the level of each intensity."""
    distinct = sorted(set(intensities))
    if len(distinct) <= LEVELS:
        return [distinct.index(value) for value in intensities]
    from scipy.stats import rankdata

    middles = rankdata(intensities) - 0.5
    return [int(LEVELS * middle / len(intensities)) for middle in middles]


def _trend(items: Sequence[_Item]) -> tuple[float | None, float | None]:
    """Spearman's correlation of intensity and value, and its one-sided permutation p-value."""
    import numpy as np

    doses = sorted({dose for item in items for dose in item.doses})
    place = {dose: number for number, dose in enumerate(doses)}
    parts = np.array([[place[dose] for dose in item.doses] for item in items], dtype=int)
    known = np.array([dose.intensity for dose in doses])
    values = np.array([item.value for item in items])
    if not items or np.ptp(values) == 0 or np.ptp(known[parts].mean(axis=1)) == 0:
        return None, None
    shuffled = np.tile(known, (_PERMUTATIONS, 1))
    rng = np.random.default_rng(0)
    for name in LEAKING_CONDITIONS:
        group = [number for number, dose in enumerate(doses) if dose.condition == name]
        shuffled[:, group] = rng.permuted(shuffled[:, group], axis=1)
    every = np.vstack([known, shuffled])[:, parts].mean(axis=2)
    observed, *others = _spearman(every, values).tolist()
    reached = sum(other >= observed - 1e-12 for other in others)
    return observed, (1 + reached) / (_PERMUTATIONS + 1)


def _spearman(rows: Array, values: Array) -> Array:
    """Spearman's rank correlation of each row with the values, shape (m,) from (m, n) and (n,).

    It is 0 for a constant row.
    """
    import numpy as np
    from scipy.stats import rankdata

    ranks = rankdata(rows, axis=1) - (len(values) + 1) / 2
    other = rankdata(values) - (len(values) + 1) / 2
    size = np.sqrt((ranks**2).sum(axis=1) * (other**2).sum())
    found: Array = np.divide(ranks @ other, size, out=np.zeros(len(rows)), where=size > 0)
    return found
