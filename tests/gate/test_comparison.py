"""Measurements against others: the sign-flip test, refusals, checkpoints in order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from exleak import ComparisonError
from exleak.gate import baselines
from exleak.gate.comparison import compare, difference, sign_flip
from exleak.gate.series import series
from tests.helpers.measurements import measured, measurement, spread


def test_sign_flip_is_exact_where_all_patterns_can_be_tried() -> None:
    """Eight differences: the share of the 256 sign patterns with a sum as large."""
    differences = [0.3, -0.1, 0.2, 0.05, 0.4, -0.2, 0.1, 0.15]
    sums = [
        sum(sign * value for sign, value in zip(signs, differences, strict=True))
        for signs in itertools.product((1, -1), repeat=8)
    ]
    expected = np.mean([total >= sum(differences) - 1e-9 for total in sums])
    assert sign_flip(differences) == pytest.approx(float(expected))


def test_sign_flip_agrees_with_scipy() -> None:
    """The paired permutation test of scipy, up to the randomness of the patterns."""
    differences = np.random.default_rng(0).normal(0.02, 0.1, 60)
    expected = stats.permutation_test(
        (differences, np.zeros(60)), lambda a, b, axis: np.mean(a - b, axis=axis),
        permutation_type="samples", alternative="greater", vectorized=True, n_resamples=9999,
        rng=1,
    ).pvalue  # fmt: skip
    assert sign_flip(differences.tolist()) == pytest.approx(expected, abs=0.02)


def test_no_difference_has_p_value_one() -> None:
    """The same checkpoint under the same seed: every pattern is as large."""
    assert sign_flip([0.0] * 60) == 1.0
    found = compare(measured(spread(0)), [measured(spread(0))])
    assert (found.delta, found.p_value, found.effect_size, found.wilcoxon) == (0, 1.0, None, None)


def test_an_increase_is_found_and_a_decrease_is_not() -> None:
    """One-sided: only more leakage counts."""
    base, higher = measured(spread(0)), measured(spread(1, 0.1))
    up, down = compare(higher, [base], "main"), compare(base, [higher])
    assert up.delta == pytest.approx(-down.delta)
    assert up.delta > 0.05
    assert up.p_value < 0.001
    assert down.p_value > 0.99
    assert up.wilcoxon is not None
    assert up.wilcoxon < 0.001
    assert up.interval is not None
    assert up.interval[0] < up.delta < up.interval[1]
    assert up.effect_size is not None
    assert up.effect_size > 0.3
    assert (up.against, up.runs, up.n) == ("main", 1, 60)


def test_several_runs_are_averaged_for_each_control() -> None:
    """The mean of the stored runs is what a new one is held against."""
    one, two = measured([0.2, 0.8]), measured([0.4, 0.6])
    found = compare(measured([0.5, 0.9]), [one, two])
    assert found.reference == pytest.approx(0.5)
    assert found.delta == pytest.approx(0.2)
    assert found.runs == 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dataset": "aexl"}, "dataset differs"),
        ({"identity__dataset_version": "2"}, "dataset version differs"),
        ({"identity__dataset": "other"}, "content of the dataset differs"),
        ({"identity__limit": 3}, "number of samples measured"),
        ({"identity__instrument": "xyz"}, "instrument differs"),
        ({"instrument": "paper", "identity__instrument": None}, "instrument differs"),
        ({"generations__per_prompt": 40}, "number of generations differs"),
        ({"sampling__top_p": 1.0}, "sampling differs"),
        (
            {"sampling__mitigation": "Ignore."},
            "sampling differs .{'mitigation': None} here, {'mitigation': 'Ignore.'} there.",
        ),
        (
            {"identity__template": {"system": "Rhyme."}},
            "template variables differs .{'system': None} here, {'system': 'Rhyme.'} there.",
        ),
        ({"identity__chat": True}, "chat template differs"),
        ({"identity__chat": "prefill"}, "chat template differs"),
        ({"by_control": {}}, "no control has both"),
    ],
)
def test_what_was_not_measured_alike_is_refused(changes: dict[str, Any], reason: str) -> None:
    """The message says what differs."""
    with pytest.raises(ComparisonError, match=reason):
        compare(measured(spread(0)), [measured(spread(0), **changes)])


def test_an_instrument_may_have_another_name() -> None:
    """Its content decides: the first version of the embedded one was called as the second is."""
    assert difference(measured(spread(0)), measured(spread(1), instrument="embedded-1")) is None


def test_another_seed_may_be_compared() -> None:
    """It is another draw of the same thing."""
    assert difference(measured(spread(0)), measured(spread(1), sampling__seed=7)) is None


def test_the_first_worse_checkpoint_is_marked_and_only_it() -> None:
    """Leakage begins at the fourth of six checkpoints."""
    shifts = [0, 0, 0, 0.15, 0.15, 0.2]
    steps = series([measured(spread(i, s), f"step-{i}") for i, s in enumerate(shifts)])
    assert [step.model for step in steps if step.is_first_worse] == ["step-3"]
    assert steps[0].p_value is None
    assert steps[5].p_value is not None
    assert steps[5].p_value < 0.01


def test_p_values_of_a_series_are_adjusted() -> None:
    """The same checkpoint has a larger p-value among many, and two alike checkpoints the same."""
    start, last = measured(spread(0)), measured(spread(1, 0.04), "last")
    alone = series([start, last])[1].p_value
    among = series([start, *(measured(spread(i), f"{i}") for i in range(2, 30)), last])[-1].p_value
    assert alone is not None
    assert among is not None
    assert among > 2 * alone


def test_a_series_that_stays_the_same_alarms_rarely() -> None:
    """At 1%: ten checkpoints, two hundred series, no leakage at all."""
    alarms = 0
    for run in range(200):
        steps = series([measured(spread(20 * run + i), str(i)) for i in range(10)])
        alarms += any(step.is_first_worse for step in steps)
    assert alarms <= 8


def test_a_series_that_was_not_measured_alike_is_refused() -> None:
    """Like any comparison."""
    with pytest.raises(ComparisonError, match="no series: b and m: the instrument differs"):
        series([measured(spread(0)), measured(spread(1), "b", identity__instrument="other")])


def test_only_numbered_files_are_runs_of_a_baseline(tmp_path: Path) -> None:
    """A copy that an editor or a person left beside them is not one, and stops nothing."""
    first = baselines.save(tmp_path, "main", [measurement()])
    for name in ("0001.bak.json", "0001-old.json", "2 copy.json", "x.json", "²3.json"):
        (first.parent / name).write_text("{}")
    second = baselines.save(tmp_path, "main", [measurement()])
    assert [path.name for path in (first, second)] == ["0001.json", "0002.json"]
    assert baselines.runs(tmp_path, "main") == [first, second]
    assert len(baselines.load(tmp_path, "main")) == 2
