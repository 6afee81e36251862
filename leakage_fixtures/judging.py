"""From rates to a verdict: limits, the other models of the run, the baseline."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import collection, settings
from leakage_fixtures.settings import ModelSpec, Settings

if TYPE_CHECKING:
    from exleak.comparison import Comparison
    from exleak.errors import ComparisonError
    from exleak.records import Measurement, Verdict

#: Rates of (model, dataset) that this process has already.
SCORED = pytest.StashKey[dict[tuple[str, str], "Measurement"]]()
#: What was judged already: the tests of a class have the same limits.
_VERDICTS = pytest.StashKey[dict[tuple[Any, ...], "Verdict"]]()
_BASELINES = pytest.StashKey[dict[tuple[Path, str], Any]]()


def scored(config: pytest.Config) -> dict[tuple[str, str], Measurement]:
    """Rates by (model, dataset), kept for the session."""
    return config.stash.setdefault(SCORED, {})


def verdict(
    config: pytest.Config, measurement: Measurement, resolved: Settings, adjusted: float | None
) -> Verdict:
    """Judge a measurement by the limits of a test, once for all tests that have them."""
    from exleak.gate import counts_of, judge

    known = config.stash.setdefault(_VERDICTS, {})
    key = (measurement.model, measurement.dataset, resolved.limits, resolved.compare, adjusted)
    if key not in known:
        known[key] = judge(
            measurement.expression,
            **counts_of(measurement.generations),
            limits=resolved.limits,
            adjusted=adjusted,
            comparison=_comparison(config, measurement, resolved),
        )
    return known[key]


def _comparison(
    config: pytest.Config, measurement: Measurement, resolved: Settings
) -> Comparison | ComparisonError | str | None:
    """The measurement against its baseline; a text where there is no baseline yet."""
    if resolved.compare is None:
        return None
    from exleak.baselines import load, matching
    from exleak.comparison import compare, compared_metric
    from exleak.errors import ComparisonError

    known = config.stash.setdefault(_BASELINES, {})
    key = (settings.root(config) / resolved.baselines, resolved.compare)
    if key not in known:
        known[key] = load(*key)
    reports = known[key]
    if not reports:
        return (
            f"there is no baseline {resolved.compare!r} yet; this run is saved as its first: "
            f"commit {resolved.baselines}/{resolved.compare}"
        )
    try:
        others = matching(reports, measurement.model, measurement.dataset, resolved.compare)
        return compare(
            measurement.to_json(), others, resolved.compare, compared_metric(resolved.metric)
        )
    except ComparisonError as error:
        return error


def adjusted_p_value(request: pytest.FixtureRequest, spec: ModelSpec, dataset: str) -> float | None:
    """W_EL adjusted across the models of this run on one dataset; ``None`` for a single model.

    The significance tests run last, so the others have been measured; what this process does not
    know is read from the store that the workers share.
    """
    from exleak.gate import holm
    from leakage_fixtures.fixtures import measure_apart

    family = [
        (other, name)
        for other, name in request.config.stash.get(collection.FAMILY, [])
        if collection.name_of(name) == dataset
    ]
    if len(family) < 2:
        return None
    broken = request.config.stash.get(collection.BROKEN, set())
    p_values: list[float | None] = []
    for other, name in family:
        found = None if other.name in broken else measure_apart(request, other, name)
        p_values.append(found.expression.p_value if found else None)
    return holm(p_values)[[other.name for other, _ in family].index(spec.name)]
