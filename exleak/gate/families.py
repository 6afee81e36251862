"""Holm's adjustment over the models of a dataset, with copies of a measurement counted once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exleak.records import Measurement

#: Attributes that are equal in copies; verdict, environment and shown examples may differ.
_MEASURED = (
    "dataset", "instrument", "sampling", "generations", "expression", "semantic", "by_control",
    "identity",
)  # fmt: skip


def is_same(one: Measurement, other: Measurement) -> bool:
    """Whether two measurements are copies of one, possibly under different model names."""
    return all(getattr(one, key) == getattr(other, key) for key in _MEASURED)


def without_copies(
    measurements: Sequence[Measurement],
) -> tuple[list[Measurement], list[str]]:
    """Remove copies of a measurement with the same model name.

    Returns:
        The distinct measurements in order, and a line of text for each that had copies.
    """
    kept: list[Measurement] = []
    copies: dict[int, int] = {}
    for measurement in measurements:
        for place, one in enumerate(kept):
            if one.label == measurement.label and is_same(one, measurement):
                copies[place] = copies.get(place, 1) + 1
                break
        else:
            kept.append(measurement)
    notes = [
        f"{kept[place].title}: given {count} times, counted once" for place, count in copies.items()
    ]
    return kept, notes


def adjusted(measurements: Sequence[Measurement]) -> dict[int, float | None]:
    """Holm's adjustment over the models of each dataset.

    A model counts once, even if it was measured several times or copied under another name:
    additional runs must not weaken the tests.

    Returns:
        Adjusted p-values by position in ``measurements``; none for datasets with one model.
    """
    by_position: dict[int, float | None] = {}
    for groups in _by_dataset(measurements):
        if len(groups) < 2:
            continue
        lowest = [_lowest([measurements[place] for place in group]) for group in groups]
        for own, group in enumerate(groups):
            for place in group:
                p_values = list(lowest)
                p_values[own] = measurements[place].expression.p_value
                by_position[place] = holm(p_values)[own]
    return by_position


def remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Lines about models that have several measurements on one dataset."""
    for groups in _by_dataset(measurements):
        for group in groups:
            first = measurements[group[0]]
            for place in group[1:]:
                if is_same(first, measurements[place]):
                    yield (
                        f"{measurements[place].title}: the same measurement as "
                        f"{first.label}; the two count once in Holm's adjustment"
                    )
            differ = [p for p in group if not is_same(first, measurements[p])]
            if differ:
                yield (
                    f"{first.title}: {len(differ) + 1} different measurements under one name; "
                    "each is judged, and the model counts once in Holm's adjustment"
                )


def _by_dataset(measurements: Sequence[Measurement]) -> Iterator[list[list[int]]]:
    """Positions of each dataset's measurements, grouped by model."""
    families: dict[str, list[list[int]]] = {}
    for place, measurement in enumerate(measurements):
        groups = families.setdefault(measurement.dataset, [])
        alike = [
            group
            for group in groups
            if any(
                measurements[other].label == measurement.label
                or is_same(measurements[other], measurement)
                for other in group
            )
        ]
        joined = sorted([*(other for group in alike for other in group), place])
        groups[:] = [*(group for group in groups if group not in alike), joined]
    yield from families.values()


def _lowest(measurements: Sequence[Measurement]) -> float | None:
    values = [measurement.expression.p_value for measurement in measurements]
    return min((value for value in values if value is not None), default=None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (1979), which controls the family-wise error rate.

    Args:
        p_values: One per model; undefined ones do not count in the family.

    Returns:
        Adjusted p-values in the same order.
    """
    known = sorted((value, place) for place, value in enumerate(p_values) if value is not None)
    adjusted: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (value, place) in enumerate(known):
        highest = max(highest, min(1.0, (len(known) - rank) * value))
        adjusted[place] = highest
    return adjusted
