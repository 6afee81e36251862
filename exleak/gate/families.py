"""The same measurement in several reports: a copy is no further evidence, and counts once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from exleak.records import Measurement

#: What makes a measurement; how it was judged, where, and what is shown of it may differ.
_MEASURED = (
    "dataset", "instrument", "sampling", "generations", "expression", "semantic", "by_control",
    "identity",
)  # fmt: skip


def is_same(one: Measurement, other: Measurement) -> bool:
    """Whether two measurements are copies of one, under whatever names of the model."""
    return all(getattr(one, key) == getattr(other, key) for key in _MEASURED)


def without_copies(
    measurements: Sequence[Measurement],
) -> tuple[list[Measurement], list[str]]:
    """Leave out copies of a measurement under the same name of the model.

    Returns:
        The measurements in order, each once, and a line of text for each that was there more often.
    """
    kept: list[Measurement] = []
    copies: dict[int, int] = {}
    for found in measurements:
        for place, one in enumerate(kept):
            if one.label == found.label and is_same(one, found):
                copies[place] = copies.get(place, 1) + 1
                break
        else:
            kept.append(found)
    notes = [
        f"{kept[place].title}: given {count} times, counted once" for place, count in copies.items()
    ]
    return kept, notes


def adjusted(measurements: Sequence[Measurement]) -> dict[int, float | None]:
    """Holm's adjustment over the models of each dataset.

    A model counts once however often it was measured, or copied under another name: further runs
    must not weaken the test of any of them.

    Returns:
        Adjusted p-values by place; none for datasets with one model.
    """
    found: dict[int, float | None] = {}
    for groups in _by_dataset(measurements):
        if len(groups) < 2:
            continue
        lowest = [_lowest([measurements[place] for place in group]) for group in groups]
        for own, group in enumerate(groups):
            for place in group:
                p_values = list(lowest)
                p_values[own] = measurements[place].expression.p_value
                found[place] = holm(p_values)[own]
    return found


def remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Lines on models that are there with several measurements of one dataset."""
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
    """The places of each dataset's measurements, grouped by model."""
    families: dict[str, list[list[int]]] = {}
    for place, found in enumerate(measurements):
        groups = families.setdefault(found.dataset, [])
        alike = [
            group
            for group in groups
            if any(
                measurements[other].label == found.label or is_same(measurements[other], found)
                for other in group
            )
        ]
        joined = sorted([*(other for group in alike for other in group), place])
        groups[:] = [*(group for group in groups if group not in alike), joined]
    yield from families.values()


def _lowest(measurements: Sequence[Measurement]) -> float | None:
    values = [found.expression.p_value for found in measurements]
    return min((value for value in values if value is not None), default=None)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Holm's step-down adjustment (1979): the family's false alarms stay at the level of one.

    Args:
        p_values: One per model; undefined ones are left out of the family.

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
