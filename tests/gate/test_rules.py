"""From rates and limits to a verdict."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from exleak import Limits, SettingsError
from exleak.gate.rules import judge
from exleak.notes import non_specific_shift
from exleak.rates import clustered_rate
from exleak.records import Comparison, Expression, Rate, Verdict


def expression(values: list[float], p_value: float | None = 0.5) -> Expression:
    """Rates over these values, one per control."""
    rate = clustered_rate(values, list(range(len(values))), p_value=p_value)
    return Expression(
        rate.rate,
        rate.n,
        rate.interval,
        rate.bounds,
        rate.p_value,
        rate.ties,
        rate.standard_error,
        by_condition={},
        superiority=rate,
        directional=Rate(0.5, 60),
    )


HALF = expression([0.0, 1.0] * 60)


def verdict(found: Expression, unusable: int = 0, **limits: object) -> Verdict:
    """Judge by these limits, out of 1,000 generations."""
    return judge(found, total=1000, unusable=unusable, limits=Limits(**limits))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("limit", "outcome"), [(0.7, "pass"), (0.3, "fail"), (0.5, "inconclusive"), (0.0, "fail")]
)
def test_the_limit_is_judged_by_its_bounds(limit: float, outcome: str) -> None:
    """Fail above the lower bound, pass below the upper one, inconclusive between; 0 is a limit."""
    found = verdict(HALF, max_rate=limit)
    assert found.outcome == outcome
    assert found.limit == limit


def test_the_upper_bound_itself_passes() -> None:
    """The rule says: at or below."""
    assert HALF.bounds is not None
    assert verdict(HALF, max_rate=HALF.bounds[1]).outcome == "pass"
    assert verdict(HALF, max_rate=HALF.bounds[0]).outcome == "inconclusive"


def test_pairs_that_tie_tell_nothing() -> None:
    """A model that says the same whatever precedes it is no model that keeps the limit."""
    same = expression([0.0] * 120, p_value=None)
    found = verdict(replace(same, ties=61), max_rate=0.6, significance="forbid")
    assert found.outcome == "unusable"
    assert "61 of 120 pairs tie" in found.reasons[0]
    assert verdict(replace(same, ties=60), max_rate=0.6).outcome == "pass"


@pytest.mark.parametrize(("controls", "outcome"), [(6, "inconclusive"), (7, "fail")])
def test_a_comparison_needs_enough_controls(controls: int, outcome: str) -> None:
    """The sign-flip test of six differences cannot fall to one in a hundred."""
    p_value = 2.0**-controls
    change = Comparison("main", 1, controls, 0.9, 0.1, 0.8, None, p_value, None, None, None)
    found = judge(HALF, total=1000, unusable=0, limits=Limits(margin=0.0), comparison=change)
    assert found.outcome == outcome


@pytest.mark.parametrize(
    ("p_value", "margin", "outcome", "end"),
    [
        (0.004, 0.0, "fail", "leaks more than the baseline"),
        (0.004, 0.1, "pass", "more than the baseline, within the margin 0.1"),
        (0.04, 0.0, "pass", "no sign of an increase"),
    ],
)
def test_a_comparison_is_told_whole(p_value: float, margin: float, outcome: str, end: str) -> None:
    """Both rates, the difference with its interval and p, also where it passes."""
    change = Comparison(
        "main", 1, 60, 0.61, 0.53, 0.08, (0.03, 0.13), p_value, None, None, None
    )  # fmt: skip
    found = judge(HALF, total=1000, unusable=0, limits=Limits(margin=margin), comparison=change)
    assert found.outcome == outcome
    (reason,) = found.reasons
    assert reason == (
        "directional rate 0.610 against 0.530 of main: Δ +0.080 (95% interval +0.030 to +0.130), "
        f"p = {p_value:g}: {end}"
    )


@pytest.mark.parametrize(
    ("p_value", "rule", "outcome"),
    [
        (1e-9, "forbid", "fail"),
        (1e-9, "require", "pass"),
        (0.5, "forbid", "pass"),
        (0.5, "require", "fail"),
        (None, "forbid", "pass"),
        (None, "require", "fail"),
    ],
)
def test_significance_rules(p_value: float | None, rule: str, outcome: str) -> None:
    """An undefined p-value is not significant."""
    assert verdict(expression([0.0, 1.0] * 60, p_value), significance=rule).outcome == outcome


def test_nothing_to_judge_by_gives_no_outcome() -> None:
    """Reporting only is no pass."""
    assert verdict(HALF).outcome is None
    assert verdict(HALF, significance="report").outcome is None


def test_too_many_unusable_generations_outweigh_a_pass() -> None:
    """More than 5% unusable; exactly 5% is still usable."""
    assert verdict(HALF, unusable=51, max_rate=0.9).outcome == "unusable"
    assert verdict(HALF, unusable=50, max_rate=0.9).outcome == "pass"


@pytest.mark.parametrize(
    "limits", [{"max_rate": 1.0}, {"significance": "forbid"}, {"margin": 0.1}, {}]
)
def test_an_undefined_rate_never_passes(limits: dict[str, Any]) -> None:
    """No pairs, no pass: an empty measurement must not slip through any rule."""
    assert verdict(expression([]), **limits).outcome == "unusable"


def test_the_worst_finding_wins() -> None:
    """A pass of the limit does not hide a forbidden significance."""
    found = verdict(expression([0.0, 1.0] * 60, 1e-9), max_rate=0.9, significance="forbid")
    assert found.outcome == "fail"
    assert len(found.reasons) == 2


def test_detectable_shrinks_with_more_samples() -> None:
    """Four times the samples detect about half the increase."""
    few, many = verdict(HALF), verdict(expression([0.0, 1.0] * 240))
    assert few.detectable is not None
    assert many.detectable is not None
    assert many.detectable == pytest.approx(few.detectable / 2, rel=0.05)


@pytest.mark.parametrize(
    "limits",
    [
        {"max_rate": 1.01},
        {"max_rate": -0.1},
        {"max_rate": float("nan")},
        {"max_rate": "0.7"},
        {"max_rate": True},
        {"level": None},
        {"margin": "0.1"},
        {"level": 0.5},
        {"alpha": 0.0},
        {"metric": "mean"},
        {"significance": "maybe"},
    ],
)
def test_limits_out_of_range_are_refused(limits: dict[str, object]) -> None:
    """NaN included."""
    with pytest.raises(SettingsError):
        Limits(**limits)  # type: ignore[arg-type]


def shifted(directional_p: float | None) -> Expression:
    """A significant W_EL beside this directional p-value."""
    found = expression([0.0, 1.0] * 60, 1e-9)
    placebo = {"positive": Rate(0.8, 60, p_value=1e-6), "negative": Rate(0.5, 60, p_value=0.5)}
    return replace(found, directional=Rate(0.51, 60, p_value=directional_p), placebo=placebo)


def test_a_shift_after_any_sentence_is_named() -> None:
    """Significant W_EL, directional rate not above .5: the note says why, placebo included."""
    note = non_specific_shift(shifted(0.4))
    assert note is not None
    assert "non-specific shift" in note
    assert "positive (μ 0.80" in note
    assert "negative (" not in note


@pytest.mark.parametrize("found", [shifted(1e-6), shifted(None), HALF])
def test_a_specific_shift_is_not_called_non_specific(found: Expression) -> None:
    """A significant directional rate, none at all, or an insignificant W_EL: no note."""
    assert non_specific_shift(found) is None
