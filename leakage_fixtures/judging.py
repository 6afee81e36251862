"""Judges measurements by limits, the run's adjusted p-values and the baseline."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leakage_fixtures import collection
from leakage_fixtures.measuring import measure_apart
from leakage_fixtures.options import ModelSpec, Settings
from leakage_fixtures.rootdir import root
from leakage_fixtures.session import session_of

if TYPE_CHECKING:
    from exleak.errors import ComparisonError
    from exleak.records import Comparison, Measurement, Verdict


def verdict(
    config: pytest.Config, measurement: Measurement, resolved: Settings, adjusted: float | None
) -> Verdict:
    """Judge a measurement by the limits of a test; cached for tests with the same limits."""
    from exleak.gate.rules import judge
    from exleak.gate.usable import counts_of

    known = session_of(config).verdicts
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
    """The comparison with the baseline; a message if the baseline does not exist yet."""
    if resolved.compare is None:
        return None
    from exleak.errors import ComparisonError
    from exleak.gate.baselines import load, matching
    from exleak.gate.comparison import compare, compared_metric

    known = session_of(config).baselines
    key = (root(config) / resolved.baselines, resolved.compare)
    if key not in known:
        known[key] = load(*key)
    reports = known[key]
    if not reports:
        return (
            f"there is no baseline {resolved.compare!r} yet; this run is saved as its first: "
            f"commit {resolved.baselines}/{resolved.compare} on the branch that others shall be "
            "compared with (from a pull request it would compare the change with itself)"
        )
    try:
        others = matching(reports, measurement.model, measurement.dataset, resolved.compare)
        metric = compared_metric(resolved.metric)
        return compare(measurement, others, resolved.compare, metric, resolved.compare_pass)
    except ComparisonError as error:
        return error


def adjusted_p_value(request: pytest.FixtureRequest, spec: ModelSpec, dataset: str) -> float | None:
    """W_EL, Holm-adjusted across this run's models on one dataset; ``None`` for a single model.

    The significance tests run last, when all models have been measured. Measurements that this
    process lacks are read from the store that the workers share.
    """
    from exleak.gate.families import holm

    session = session_of(request.config)
    family = [
        (other, name) for other, name in session.family if collection.name_of(name) == dataset
    ]
    if len(family) < 2:
        return None
    p_values: list[float | None] = []
    for other, name in family:
        found = None if other.name in session.broken else measure_apart(request, other, name)
        p_values.append(found.expression.p_value if found else None)
    return holm(p_values)[[other.name for other, _ in family].index(spec.name)]
