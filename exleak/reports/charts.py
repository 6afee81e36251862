"""The figures of a report, each a caption and an SVG, drawn from its measurements."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

from exleak.records import MITIGATED, Measurement
from exleak.reports import figures
from exleak.reports.columns import lookup
from exleak.reports.figures import Mark
from exleak.reports.published import published

_CONDITIONS = ("positive", "neutral", "negative")

Chart = tuple[str, str]
Measurements = Sequence[Measurement]


def _datasets(measurements: Measurements) -> dict[str, list[int]]:
    """Positions of the measurements on each dataset."""
    positions: dict[str, list[int]] = {}
    for index, measurement in enumerate(measurements):
        positions.setdefault(measurement.dataset, []).append(index)
    return positions


def rates(measurements: Measurements) -> Iterator[Chart]:
    """The rates on each dataset, above the published rates."""
    for number_, (dataset, places) in enumerate(_datasets(measurements).items()):
        marks = []
        for i in places:
            measurement = measurements[i]
            rate, limit = measurement.expression, _limit_of_rate(measurement)
            at = f"{i}.expression.rate"
            marks.append(Mark(measurement.label, rate.rate, rate.interval, limit, source=at))
        title = f"Mean expression leakage rate of each model on {dataset}"
        known = _published(dataset, [measurements[i] for i in places])
        yield dataset, figures.rates(f"rates{number_}", title, marks, known)


def _limit_of_rate(found: Measurement) -> float | None:
    """The limit, if it applies to μ_EL."""
    return found.verdict.limit if found.verdict.metric == "rate" else None


def _published(dataset: str, measured: Measurements) -> list[Mark]:
    """The paper's Table 3 for plain runs, and Table 4 for runs with the mitigation instruction."""
    tables: dict[bool, Literal[3, 4]] = {False: 3, True: 4}
    return [
        Mark(
            f"{model}{MITIGATED if mitigated else ''}",
            cells[dataset].mu,
            flagged=cells[dataset].flagged,
        )
        for mitigated in sorted({measurement.is_mitigated for measurement in measured})
        for model, cells in published(tables[mitigated]).items()
        if dataset in cells
    ]


def conditions(measurements: Measurements) -> Iterator[Chart]:
    """The rates by injected sentence on each dataset (the paper's Figure 2)."""
    for number_, (dataset, places) in enumerate(_datasets(measurements).items()):
        groups = [(measurements[i].label, _condition_marks(i, measurements[i])) for i in places]
        title = f"Expression leakage rate by injected sentence on {dataset}"
        yield dataset, figures.conditions(f"conditions{number_}", title, groups)


def _condition_marks(index: int, found: Measurement) -> list[Mark]:
    place, known = "expression.by_condition", found.expression.by_condition
    return [
        Mark(name, known[name].rate, known[name].interval,
             source=f"{index}.{place}.{name}.rate")
        for name in _CONDITIONS
        if name in known
    ]  # fmt: skip


def decomposition(measurements: Measurements) -> Iterator[Chart]:
    """The directional rate with and without carry-over, and the share of carry-over."""
    for number_, (dataset, places) in enumerate(_datasets(measurements).items()):
        groups = [(measurements[i].label, _parts(i, measurements[i])) for i in places]
        if any(marks for _, marks in groups):
            title = f"Directional rate with and without carry-over on {dataset}"
            yield dataset, figures.conditions(f"decomposition{number_}", title, groups)


def _parts(index: int, found: Measurement) -> list[Mark]:
    parts = {
        "directional": "expression.directional",
        "residual": "expression.residual.directional",
        "carry-over": "expression.carry_over.share",
    }
    return [
        Mark(name, rate.rate, rate.interval, source=f"{index}.{place}.rate")
        for name, place in parts.items()
        if (rate := lookup(found, place)) and rate.rate is not None
    ]


def differences(measurements: Measurements) -> Iterator[Chart]:
    """The distribution of d in each measurement."""
    for index, measurement in enumerate(measurements):
        series = [
            (name, [
                pair.difference
                for pair in measurement.pairs
                if pair.condition == name and pair.difference is not None
            ])
            for name in ("negative", "positive")
        ]  # fmt: skip
        if any(values for _, values in series):
            name = measurement.title
            title = f"Distribution of the difference d of {name}"
            figure = figures.histogram(f"differences{index}", title, series)
            yield name, figure
