"""The parts of the variance, on data whose parts are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from exleak.errors import ReportError
from exleak.gate.limits import Metric
from exleak.planning.scatter import Scatter, of_pairs, of_report
from exleak.rates import expression
from exleak.records import Measurement, PairScore
from tests.helpers import moods
from tests.helpers.measurements import measured

MANY = 3000


def truth(metric: Metric, generations: int) -> tuple[float, float, float]:
    """Rate, variance of a control's value, and the part that another draw changes."""
    controls = moods.Controls(20_000, seed=9)
    draws = [controls.draw(generations) for _ in range(2)]
    if metric == "rate":
        first, second = (moods.el(each).mean(axis=1) for each in draws)
    else:
        first, second = map(moods.directional, draws)
    return float(first.mean()), float(first.var()), float(((first - second) ** 2).mean() / 2)


@pytest.fixture(scope="module")
def found() -> dict[Metric, Scatter]:
    """The scatter of ten continuations per prompt."""
    pairs = moods.pairs(moods.Controls(MANY).draw(10))
    return {metric: of_pairs(pairs, metric, 10) for metric in ("rate", "directional")}


@pytest.mark.parametrize("metric", ["rate", "directional"])
def test_the_parts_are_those_that_the_data_were_made_with(
    metric: Metric, found: dict[Metric, Scatter]
) -> None:
    """What lies within is what a second draw of the same controls would change."""
    rate, variance, within = truth(metric, 10)
    assert found[metric].controls == MANY
    assert found[metric].rate == pytest.approx(rate, abs=0.02)
    assert found[metric].variance == pytest.approx(variance, rel=0.08)
    assert found[metric].within == pytest.approx(within, rel=0.1)
    assert found[metric].share == pytest.approx(within / variance, rel=0.12)


@pytest.mark.parametrize("generations", [5, 20, 40])
@pytest.mark.parametrize("metric", ["rate", "directional"])
def test_other_numbers_of_continuations_are_foretold(
    metric: Metric, generations: int, found: dict[Metric, Scatter]
) -> None:
    """EL's rate moves with them, a directional rate does not."""
    rate, variance, within = truth(metric, generations)
    assert found[metric].rate_with(generations) == pytest.approx(rate, abs=0.025)
    assert found[metric].variance_with(generations) == pytest.approx(variance, rel=0.1)
    assert found[metric].within_with(generations) == pytest.approx(within, rel=0.15)


def test_few_controls_are_judged_without_bias() -> None:
    """The mean over many small runs."""
    runs = [
        of_pairs(moods.pairs(moods.Controls(60, seed=seed).draw(5)), "directional", 5)
        for seed in range(25)
    ]
    _, variance, within = truth("directional", 5)
    assert np.mean([run.within or 0 for run in runs]) == pytest.approx(within, rel=0.05)
    assert np.mean([run.variance for run in runs]) == pytest.approx(variance, rel=0.1)


def test_more_of_either_narrow_the_interval() -> None:
    """Twice the controls by 1 - sqrt(1/2) and a little; continuations by their part alone."""
    scatter = Scatter(0.7, 60, 10, 0.04, 0.01)
    assert scatter.narrowed(controls=60) == pytest.approx(0.30, abs=0.005)
    assert scatter.narrowed(generations=10) == pytest.approx(1 - (0.035 / 0.04) ** 0.5)
    assert replace(scatter, within=0.0).narrowed(generations=10) == 0
    assert replace(scatter, within=None).narrowed(generations=10) == 0


def test_a_report_tells_the_part_within_roughly(found: dict[Metric, Scatter]) -> None:
    """From the directional values alone; of EL it has the variance only."""
    report = reported(10)
    scatter = of_report(report, "directional")
    known = found["directional"]
    assert (scatter.controls, scatter.generations) == (MANY, 10)
    assert scatter.variance == pytest.approx(known.variance)
    assert scatter.within == pytest.approx(known.within, rel=0.15)
    assert of_report(report, "rate").within is None
    assert of_report(report, "rate").variance == pytest.approx(found["rate"].variance)


def reported(generations: int) -> Measurement:
    """A report of the same continuations."""
    drawn = moods.Controls(MANY).draw(generations)
    pairs = moods.pairs(drawn)
    values = moods.directional(drawn)
    report = measured(values.tolist(), generations={"per_prompt": generations})
    scores = tuple(
        PairScore(pair.id, pair.control, pair.condition, None, None, None) for pair in pairs
    )
    by_control = {str(number): float(value) for number, value in enumerate(values)}
    return replace(report, expression=expression(pairs), pairs=scores, by_control=by_control)


@pytest.mark.parametrize("metric", ["rate", "directional"])
def test_one_continuation_tells_no_parts(metric: Metric) -> None:
    """Nor is there anything to plan by where nothing varies."""
    with pytest.raises(ReportError, match="one continuation per prompt does not show"):
        of_pairs(moods.pairs(moods.Controls(40).draw(1)), metric, 1)
    constant = moods.Controls(40, shift=9, between=0).draw(5)
    with pytest.raises(ReportError, match="does not vary over controls"):
        of_pairs(moods.pairs(constant), metric, 5)


def test_restatements_leave_fewer_continuations() -> None:
    """The residual rate has a part within that belongs to what is left."""
    generator = np.random.default_rng(3)
    pairs = [
        replace(pair, test_carries=carries, reference_carries=np.zeros(10, bool),
                test_carries_any=carries)
        for pair in moods.pairs(moods.Controls(600).draw(10))
        for carries in [generator.random(10) < 0.5]
    ]  # fmt: skip
    scatter = of_pairs(pairs, "residual", 10)
    assert scatter.kept == pytest.approx(0.5, abs=0.02)
    assert scatter.within_with(20) == pytest.approx(truth("directional", 10)[2], rel=0.15)
