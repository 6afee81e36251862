"""Predicted power against simulations of the gate."""

from __future__ import annotations

import pytest

from exleak.gate.comparison import BASELINE_ALPHA, compare
from exleak.gate.limits import Limits, Metric
from exleak.gate.rules import judge_limit
from exleak.planning import power
from exleak.planning.scatter import Scatter, of_pairs
from exleak.rates import clustered_rate
from exleak.records import Rate
from tests.helpers import moods
from tests.helpers.measurements import measured

RUNS = 150


def simulated(metric: Metric, controls: int, shift: float, limit: float) -> tuple[float, float]:
    """Shares of simulated runs that fail and pass."""
    outcomes = []
    for seed in range(RUNS):
        drawn = moods.Controls(controls, shift, seed=seed).draw(10)
        outcomes.append(judge_limit(rate_of(metric, drawn), Limits(limit, metric))[0])
    return outcomes.count("fail") / RUNS, outcomes.count("pass") / RUNS


def rate_of(metric: Metric, drawn: moods.Moods) -> Rate:
    """The rate of a run, with its bounds."""
    if metric == "directional":
        values = moods.directional(drawn)
        return clustered_rate(values.tolist(), range(len(values)))
    values = moods.el(drawn)
    names = [number for number in range(len(values)) for _ in range(2)]
    return clustered_rate(values.ravel().tolist(), names)


@pytest.mark.parametrize("below", [-0.15, -0.08, 0.1, 0.15])
@pytest.mark.parametrize("shift", [0.1, 0.25])
@pytest.mark.parametrize("metric", ["rate", "directional"])
def test_the_limit_rule_fails_and_passes_as_often_as_foretold(
    metric: Metric, shift: float, below: float
) -> None:
    """With 60 controls; a tenth is three standard errors of the simulation."""
    scatter = of_pairs(moods.pairs(moods.Controls(1500, shift, seed=99).draw(10)), metric, 10)
    limit = scatter.rate + below
    found = power.against_limit(scatter.rate, limit, scatter, 60, 10)
    assert simulated(metric, 60, shift, limit) == pytest.approx(
        (found.fails, found.passes), abs=0.1
    )
    assert found.inconclusive == pytest.approx(1 - found.fails - found.passes)


def test_a_detectable_increase_is_detected() -> None:
    """In about 90% of runs, by the gate's own comparison."""
    controls = moods.Controls(1500, between=0.0, seed=99)
    scatter = of_pairs(moods.pairs(controls.draw(10)), "directional", 10)
    increase = power.detectable_increase(scatter, 60, 10)
    assert increase is not None
    more = 0.0
    while moods.directional(controls.draw(10, more)).mean() < scatter.rate + increase:
        more += 0.005
    alarms = 0
    for seed in range(100):
        few = moods.Controls(60, between=0.0, seed=seed)
        before, after = (
            measured(moods.directional(few.draw(10, rise)).tolist()) for rise in (0, more)
        )
        alarms += compare(after, [before]).p_value <= BASELINE_ALPHA
    assert alarms == pytest.approx(90, abs=9)


def test_a_margin_asks_for_a_larger_increase() -> None:
    """What is tolerated, and as much again as chance may take away."""
    scatter = Scatter(0.7, 60, 10, 0.04, 0.01)
    found = [power.detectable_increase(scatter, 60, 10, margin) for margin in (0.0, 0.1)]
    assert found[0] is not None
    assert found[1] is not None
    assert 0.1 < found[1] < 0.1 + found[0]
    assert power.detectable_increase(scatter, 6, 10) is None
    assert power.detectable_increase(power.typical("rate"), 60, 10) is None


@pytest.mark.parametrize("metric", ["rate", "directional", "residual"])
def test_the_thresholds_and_the_number_of_controls_agree_with_the_power(metric: Metric) -> None:
    """At the lowest failing rate 90% fail; just fewer controls than needed are not enough."""
    scatter = power.typical(metric)
    fails = power.fails_from(0.7, scatter, 60, 10)
    passes = power.passes_up_to(0.7, scatter, 60, 10)
    assert fails is not None
    assert passes is not None
    assert passes < 0.7 < fails
    assert power.against_limit(fails, 0.7, scatter, 60, 10).fails == pytest.approx(0.9, abs=1e-6)
    assert power.against_limit(passes, 0.7, scatter, 60, 10).passes == pytest.approx(0.9, abs=1e-6)
    needed = power.controls_needed(0.8, 0.7, scatter, 10)
    assert needed is not None
    assert power.against_limit(0.8, 0.7, scatter, needed, 10).fails >= 0.9
    assert power.against_limit(0.8, 0.7, scatter, needed - 1, 10).fails < 0.9


def test_some_limits_cannot_be_failed_or_passed() -> None:
    """Nothing lies above 1; a rate cannot be told from itself; ten controls say little."""
    scatter = power.typical("rate")
    assert power.fails_from(1.0, scatter, 60, 10) is None
    assert power.passes_up_to(0.0, scatter, 60, 10) is None
    assert power.fails_from(0.99, scatter, 10, 10) is None
    assert power.controls_needed(0.7, 0.7, scatter, 10) is None
    assert power.against_limit(1.0, 0.5, scatter, 60, 10).fails == pytest.approx(1)
