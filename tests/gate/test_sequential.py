"""The series rule for checkpoints that arrive one after another: its error rate, and what it sees.

Rates are drawn directly: no model, no scorer.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from exleak import ComparisonError, SettingsError
from exleak.gate.sequential import Series, Spending
from tests.helpers.measurements import measured, spread

Array = NDArray[np.float64]

#: Share of alpha that the first look may spend.
FIRST = 6 / math.pi**2


def rates(generator: np.random.Generator, controls: int, looks: int, step: float) -> Array:
    """Rates of an unchanging model, shape (looks + 1, controls), in steps, so that sums tie."""
    centre = generator.uniform(0.3, 0.7, controls)
    noise = generator.normal(0, 0.1, (looks + 1, controls))
    return np.asarray((centre + noise).clip(0, 1).round(6) // step * step)


def marks(values: Array, alpha: float, patterns: int) -> list[bool]:
    """Whether each later checkpoint is marked."""
    spending = Spending(values.shape[1], alpha, patterns=patterns)
    return [spending.look(later - values[0])[1] for later in values[1:]]


@pytest.mark.parametrize(
    ("controls", "step", "patterns"),
    [(12, 0.1, 4999), (30, 0.005, 1999), (60, 0.25, 999)],
)
def test_the_error_rate_holds_over_all_looks(controls: int, step: float, patterns: int) -> None:
    """Of 300 series of 20 looks at which nothing changed, at most a tenth are marked, by chance."""
    generator = np.random.default_rng(controls)
    alarms = sum(
        any(marks(rates(generator, controls, 20, step), 0.1, patterns)) for _ in range(300)
    )
    assert alarms <= 30 + 2 * math.sqrt(300 * 0.1 * 0.9)


def test_looking_again_with_the_rule_for_finished_series_would_not_hold_it() -> None:
    """Why there is another rule: a test at each look alarms in many more series."""
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(100):
        values = rates(generator, 30, 20, 0.005)
        alarms += any(
            Spending(30, 0.1 / FIRST, patterns=999).look(later - values[0])[1]
            for later in values[1:]
        )
    assert alarms > 35


def test_a_rise_is_marked_where_it_begins_and_a_fall_never() -> None:
    """At alpha .01, with sixty controls and a rise of .1 from the eighth later checkpoint on."""
    generator = np.random.default_rng(2)
    values = rates(generator, 60, 12, 0.005)
    up, down = values.copy(), values.copy()
    up[8:] += 0.1
    down[8:] -= 0.1
    assert marks(up, 0.01, 19_999).index(True) == 7
    assert not any(marks(down, 0.01, 19_999))


def test_the_first_look_is_the_sign_flip_test_at_its_share() -> None:
    """Of all 1024 patterns of ten controls, those with a sum as large, over the share."""
    deltas = np.array([0.3, -0.1, 0.2, 0.05, 0.4, -0.2, 0.1, 0.15, 0.1, 0.2])
    sums = [float(np.dot(signs, deltas)) for signs in itertools.product((1, -1), repeat=10)]
    share = np.mean([total >= deltas.sum() - 1e-9 for total in sums])
    p_value, _, _ = Spending(10, 0.05).look(deltas)
    assert p_value == pytest.approx(float(share) / FIRST)


def test_a_checkpoint_is_marked_if_and_only_if_its_p_value_is_at_most_alpha() -> None:
    """Whatever came before; both happen."""
    generator = np.random.default_rng(3)
    seen = set()
    for alpha in (0.01, 0.2):
        spending = Spending(20, alpha, patterns=9999)
        for shift in generator.uniform(0, 0.08, 40):
            p_value, is_marked, _ = spending.look(generator.normal(shift, 0.1, 20))
            assert is_marked == (p_value <= alpha)
            seen.add(is_marked)
    assert seen == {True, False}


def test_patterns_that_crossed_stay_crossed_and_never_exceed_what_is_spent() -> None:
    """The same differences again cross nothing new: they are counted once."""
    deltas = np.random.default_rng(4).normal(0, 0.1, 30)
    spending = Spending(30, 0.1, patterns=9999)
    shares = []
    for look in range(1, 6):
        spending.look(deltas)
        shares.append(float(spending.crossed) / 10_000)
        assert shares[-1] <= 0.1 * sum(FIRST / k**2 for k in range(1, look + 1))
    assert shares == sorted(shares)
    assert shares[-1] > 0.085


def test_what_a_look_cannot_spend_is_left_to_the_later_ones() -> None:
    """Seven controls have 128 patterns: one of them is worth .0078, more than two looks may."""
    spending = Spending(7, 0.01)
    found = [spending.look(np.full(7, 0.4)) for _ in range(3)]
    assert [can_mark for _, _, can_mark in found] == [False, False, True]
    assert [is_marked for _, is_marked, _ in found] == [False, False, True]


@pytest.mark.parametrize("deltas", [[0.5] * 6, [0.5] * 4 + [0.0] * 56])
def test_a_look_that_cannot_mark_says_so(deltas: list[float]) -> None:
    """Too few controls; or four alone that differ, so that a sixteenth of the sums tie."""
    spending = Spending(len(deltas), 0.01)
    for _ in range(4):
        p_value, is_marked, can_mark = spending.look(np.array(deltas))
        assert (is_marked, can_mark) == (False, False)
        assert p_value > 0.01


def test_the_same_rates_are_no_rise() -> None:
    """The same checkpoint under the same seed: nothing crosses, though something could."""
    assert Spending(60, 0.01).look(np.zeros(60)) == (1.0, False, True)


def test_too_small_an_alpha_says_so_too() -> None:
    """A millionth is less than one pattern of a hundred thousand."""
    _, is_marked, can_mark = Spending(60, 1e-6).look(np.full(60, 0.5))
    assert (is_marked, can_mark) == (False, False)


def test_ties_do_not_depend_on_the_order_of_adding() -> None:
    """Tenths that sum to other last bits in another order are equal."""
    deltas = np.array([0.1, 0.2, 0.3, -0.1, -0.2, -0.3] * 2)
    found = {Spending(12, 0.3).look(np.roll(deltas, shift)) for shift in range(6)}
    assert len({p_value for p_value, _, _ in found}) == 1


@pytest.mark.parametrize("alpha", [0.0, 1.0, -1.0, float("nan")])
def test_an_alpha_out_of_range_is_an_error(alpha: float) -> None:
    """It is a probability."""
    with pytest.raises(SettingsError, match="alpha must be above 0 and below 1"):
        Spending(20, alpha)


def test_a_series_tells_rate_difference_and_mark() -> None:
    """Against the first; only the first of several marked ones is the first worse one."""
    series = Series(measured(spread(0), "step-0"))
    looks = [
        series.look(measured(spread(i, s), f"step-{i}")) for i, s in ((1, 0), (2, 0.2), (3, 0.2))
    ]
    assert [look.is_marked for look in looks] == [False, True, True]
    assert [look.step.is_first_worse for look in looks] == [False, True, False]
    assert looks[1].step.delta == pytest.approx(looks[1].step.rate - series.start.step.rate)
    assert (looks[1].step.model, looks[1].step.start) == ("step-2", "step-0")
    assert (series.start.step.p_value, series.start.is_marked) == (None, False)


def test_residual_rates_can_be_compared() -> None:
    """By their own controls, of which there may be fewer."""
    residual = {f"c{i}": value for i, value in enumerate(spread(1, 0.3, 20))}
    first = measured(spread(0), residual_by_control=dict.fromkeys(residual, 0.5))
    series = Series(first, metric="residual")
    look = series.look(measured(spread(0), "m2", residual_by_control=residual))
    assert series.controls == 20
    assert (look.is_marked, look.step.metric) == (True, "residual")


def test_a_control_that_is_missing_has_no_part_in_a_look() -> None:
    """It changes neither rate nor difference; the next look has it again."""
    first = measured([0.5] * 20)
    series = Series(first)
    later = measured([0.7] * 20, "m2")
    del later.by_control["c3"]
    later.by_control["new"] = 0.0
    assert series.look(later).step.delta == pytest.approx(0.2)
    assert series.look(measured([0.7] * 20, "m3")).step.rate == pytest.approx(0.7)


def test_what_was_not_measured_alike_is_no_look() -> None:
    """It is refused with the reason, and spends nothing."""
    series, other = (Series(measured(spread(0))) for _ in range(2))
    with pytest.raises(ComparisonError, match="sampling differs"):
        series.look(measured(spread(1), "m2", sampling__top_p=1.0))
    with pytest.raises(ComparisonError, match="no control prompt was scored in both"):
        series.look(measured([0.5], "m2", by_control={"another": 0.5}))
    assert series.look(measured(spread(2))) == other.look(measured(spread(2)))
    with pytest.raises(ComparisonError, match="no series begins with m: no control has both"):
        Series(measured([]))
