"""Sizes and coverage of the rates where there is no leakage, or a known amount, by simulation.

Scores are drawn directly: no model, no scorer. Each scenario is one in which a test that assumes
less than it should would go wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from exleak import rates
from exleak.rates import Pair

Array = NDArray[np.float64]
Draw = Callable[[np.random.Generator, str, Array], Array]

CONTROLS, K, RUNS = 60, 10, 400


def classes(valence: Array) -> Array:
    """Class probabilities, shape (n, 3), of valences in [-1, 1]."""
    valence = valence.clip(-1, 1)
    up, down = valence.clip(0, 1), (-valence).clip(0, 1)
    return np.stack([down, 1 - up - down, up], axis=1)


def simulate(generator: np.random.Generator, draw: Draw, *, reuse: int = 1) -> list[Pair]:
    """One run: every sample's control, positive and negative continuations."""
    pairs = []
    sentence_effects = generator.normal(0, 0.15, (2, CONTROLS // reuse))
    for number in range(CONTROLS):
        centre = generator.normal(0, 0.3, 1)
        control = classes(draw(generator, "control", centre))
        for row, condition in enumerate(("positive", "negative")):
            group = number // reuse
            shift = sentence_effects[row, group] if reuse > 1 else 0.0
            pairs.append(
                Pair(
                    id=f"{number}:{condition}",
                    control=f"{number}:control",
                    cluster=f"control {number}",
                    condition=condition,  # type: ignore[arg-type]
                    injected=f"{condition} {group}",
                    test=classes(draw(generator, condition, centre + shift)),
                    reference=control,
                )
            )
    return pairs


def plain(generator: np.random.Generator, condition: str, centre: Array) -> Array:
    """The same spread everywhere; the control is shared by both conditions."""
    return np.asarray(centre + generator.normal(0, 0.3, K))


def tied(generator: np.random.Generator, condition: str, centre: Array) -> Array:
    """Scores of few values, so that most comparisons tie."""
    return np.asarray(np.round((centre + generator.normal(0, 0.3, K)) * 2) / 2)


def skewed(generator: np.random.Generator, condition: str, centre: Array) -> Array:
    """Mostly neutral, now and then extreme."""
    return np.asarray(centre + generator.exponential(0.3, K) - 0.3)


def dispersed(generator: np.random.Generator, condition: str, centre: Array) -> Array:
    """Any inserted sentence makes continuations one and a half times as spread out."""
    return np.asarray(centre + generator.normal(0, 0.3 if condition == "control" else 0.45, K))


def unequal(generator: np.random.Generator, condition: str, centre: Array) -> Array:
    """Positive sentences spread continuations twice as far as negative ones do."""
    return np.asarray(centre + generator.normal(0, 0.4 if condition == "positive" else 0.2, K))


SCENARIOS = {draw.__name__: draw for draw in (plain, tied, skewed, dispersed, unequal)}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_directional_test_keeps_its_size(name: str) -> None:
    """Without leakage it rejects at 5% in 2 to 8% of runs, whatever any sentence does."""
    generator = np.random.default_rng(0)
    p_values = [
        rates.directional(simulate(generator, SCENARIOS[name])).p_value or 0.0 for _ in range(RUNS)
    ]
    assert 0.02 <= np.mean(np.array(p_values) < 0.05) <= 0.08


@pytest.mark.parametrize("name", ["plain", "skewed"])
def test_superiority_and_wilcoxon_keep_their_size_where_spreads_are_equal(name: str) -> None:
    """With a control shared by two conditions; for other spreads see the next test."""
    generator = np.random.default_rng(1)
    found = [rates.expression(simulate(generator, SCENARIOS[name])) for _ in range(RUNS // 2)]
    assert np.mean([(run.superiority.p_value or 0) < 0.05 for run in found]) <= 0.09
    assert np.mean([(run.p_value or 0) < 0.001 for run in found]) <= 0.015


def test_the_papers_rule_reports_leakage_where_only_the_spread_differs() -> None:
    """Why there is a directional rate: here the paper's rate is far above .5 and significant."""
    generator = np.random.default_rng(2)
    found = [rates.expression(simulate(generator, dispersed)) for _ in range(40)]
    assert np.mean([run.rate or 0 for run in found]) > 0.58
    assert np.mean([(run.p_value or 1) < 0.001 for run in found]) > 0.4
    assert np.mean([run.directional.rate or 0 for run in found]) == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("reuse", [1, 2, 6])
def test_intervals_hold_the_truth_when_sentences_are_reused(reuse: int) -> None:
    """The rate is .5; a sentence that moods are drawn to, used again, widens the interval."""
    generator = np.random.default_rng(3)
    inside = 0
    for _ in range(RUNS // 2):
        found = rates.expression(simulate(generator, plain, reuse=reuse))
        assert found.interval is not None
        inside += found.interval[0] <= 0.5 <= found.interval[1]
    assert inside / (RUNS // 2) >= 0.90


def test_intervals_hold_a_rate_that_is_not_one_half() -> None:
    """A shift of the injected mood: the mean over many runs lies in 95% of the intervals."""

    def leaking(generator: np.random.Generator, condition: str, centre: Array) -> Array:
        shift = {"control": 0.0, "positive": 0.1, "negative": -0.1}[condition]
        return np.asarray(centre + shift + generator.normal(0, 0.3, K))

    generator = np.random.default_rng(4)
    found = [rates.expression(simulate(generator, leaking)) for _ in range(RUNS // 2)]
    for name in ("rate", "superiority", "directional"):
        shown: list[Any] = [run if name == "rate" else getattr(run, name) for run in found]
        truth = float(np.mean([rate.rate for rate in shown]))
        assert truth > 0.55
        inside = [rate.interval[0] <= truth <= rate.interval[1] for rate in shown]
        assert np.mean(inside) >= 0.90


def test_superiority_does_not_depend_on_the_number_of_generations() -> None:
    """The paper's rate of one and the same model rises with K; superiority stays."""

    def leaking(count: int) -> Draw:
        def draw(generator: np.random.Generator, condition: str, centre: Array) -> Array:
            shift = {"control": 0.0, "positive": 0.1, "negative": -0.1}[condition]
            return np.asarray(shift + generator.normal(0, 0.3, count))

        return draw

    generator = np.random.default_rng(5)
    few, many = (
        [rates.expression(simulate(generator, leaking(count))) for _ in range(25)]
        for count in (2, 40)
    )
    rate = [float(np.mean([run.rate for run in runs])) for runs in (few, many)]
    superiority = [float(np.mean([run.superiority.rate for run in runs])) for runs in (few, many)]
    assert rate[1] > rate[0] + 0.1
    assert superiority[1] == pytest.approx(superiority[0], abs=0.02)
