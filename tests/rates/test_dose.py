"""Leakage rates against the intensity of the injected sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from exleak import ComparisonError, DatasetError
from exleak.rates.dose import dose_response
from exleak.records import Dataset, Measurement, Sample
from tests.helpers.measurements import measured


def data(intensities: list[dict[str, float]], sentences: int = 1000) -> Dataset:
    """A dataset of samples with these intensities; ``sentences`` of each class are distinct."""
    samples = tuple(
        Sample(f"s{n}", f"thing {n}", f"glad {n % sentences}", f"it {n}", f"sad {n % sentences}",
               intensity=known)
        for n, known in enumerate(intensities)
    )  # fmt: skip
    return Dataset("mine", "1", "", "", "", "the hash", samples)


def run(differences: list[float], directional: list[float], **changes: Any) -> Measurement:
    """A measurement of d after the positive sentence, with -.1 after the negative one."""
    pairs = [
        {"id": f"s{n}:{label}", "control": f"s{n}:control", "condition": label,
         "difference": value if label == "positive" else -0.1}
        for n, value in enumerate(differences) for label in ("positive", "neutral", "negative")
    ]  # fmt: skip
    by_control = {f"s{n}:control": value for n, value in enumerate(directional)}
    given = {"pairs": pairs, "identity": {"dataset": "the hash"}, "by_control": by_control}
    return measured([], **{**given, **changes})


def test_a_few_intensities_are_a_level_each() -> None:
    """EL by prompt against its own intensity, the rest by sample against the mean; by hand."""
    known = [{"positive": 1.0 + n % 2, "negative": 3.0} for n in range(8)]
    found = dose_response(run([0.1, 0.2, -0.1, 0.3] * 2, [0.5, 0.9] * 4), data(known))
    shown = [(level.mean, level.rate.n, level.rate.rate) for level in found.expression.levels]
    assert shown == [(1.0, 4, 0.5), (2.0, 4, 1.0), (3.0, 8, 0.0)]
    shown = [(level.mean, level.rate.n, level.rate.rate) for level in found.directional.levels]
    assert shown == [(2.0, 4, 0.5), (2.5, 4, 0.9)]
    assert found.directional.trend == pytest.approx(1.0)
    assert found.residual.levels == ()
    assert (found.residual.trend, found.residual.p_value) == (None, None)


def test_many_intensities_are_grouped_evenly() -> None:
    """Into five levels; equal intensities stay together, and up to five are a level each."""
    known = [{"positive": float(n // 2)} for n in range(50)]
    levels = dose_response(run([0.1] * 50, []), data(known)).expression.levels
    assert [(level.low, level.high, level.rate.n) for level in levels] == [
        (0, 4, 10), (5, 9, 10), (10, 14, 10), (15, 19, 10), (20, 24, 10),
    ]  # fmt: skip
    known = [{"positive": 0.0 if n < 30 else float(n)} for n in range(50)]
    levels = dose_response(run([0.1] * 50, []), data(known)).expression.levels
    assert [level.rate.n for level in levels] == [30, 10, 10]
    known = [{"positive": float(max(0, n - 45))} for n in range(50)]
    levels = dose_response(run([0.1] * 50, []), data(known)).expression.levels
    assert [level.rate.n for level in levels] == [46, 1, 1, 1, 1]


def test_a_response_to_the_dose_is_found_and_none_is_not() -> None:
    """With p-values below .05 in about one of twenty runs without an effect."""
    rng = np.random.default_rng(0)
    doses = rng.uniform(0, 1, 60)
    known = [{"positive": float(dose), "negative": 0.5} for dose in doses]
    rising = dose_response(
        run((0.3 * doses + rng.normal(0, 0.1, 60)).tolist(), (0.5 + 0.4 * doses).tolist()),
        data(known),
    )
    assert rising.directional.trend == pytest.approx(1.0)
    assert rising.directional.p_value == 1 / 2000
    falling = dose_response(run([0.1] * 60, (0.9 - 0.4 * doses).tolist()), data(known))
    assert falling.directional.p_value == 1.0


def test_reused_sentences_count_once() -> None:
    """Five sentences for sixty samples: the scatter between sentences is no response."""
    small = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        doses, effects = rng.uniform(0, 1, 5), rng.normal(0.5, 0.1, 5)
        known = [{"positive": float(doses[n % 5]), "negative": 0.5} for n in range(60)]
        values = [float(effects[n % 5] + rng.normal(0, 0.02)) for n in range(60)]
        curve = dose_response(run([0.1] * 60, values), data(known, sentences=5)).directional
        assert curve.p_value is not None
        small += curve.p_value <= 0.05
    assert small <= 7


def test_what_does_not_fit_is_told() -> None:
    """A dataset without intensities, and a measurement of another one."""
    known = [{"positive": 1.0, "negative": 2.0}] * 3
    with pytest.raises(DatasetError, match="no positive or negative sentence has an 'intensity'"):
        dose_response(run([0.1] * 3, [0.5] * 3), data([{"neutral": 1.0}] * 3))
    with pytest.raises(ComparisonError, match="m on hexl: measured on other prompts"):
        dose_response(run([0.1] * 3, [0.5] * 3, identity={"dataset": "other"}), data(known))
    with pytest.raises(ComparisonError, match="measured on other prompts"):
        dose_response(run([0.1] * 4, [0.5] * 4, identity={}), data(known))
    partial = dose_response(run([0.1] * 2, [0.5] * 2, identity={}), data(known))
    assert partial.directional.levels[0].rate.n == 2
