"""The corrected human rate of a run, on numbers whose answer is known."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from exleak.annotate.answers import Answers
from exleak.annotate.corrected import Prompts, estimate, prompts_of
from exleak.annotate.intervals import Clusters, Estimate, jackknife
from exleak.annotate.key import Item, Key
from exleak.annotate.report import build
from exleak.annotate.sample import Lots, Size, draw_pairs
from exleak.annotate.task import PAIRS
from exleak.errors import DatasetError
from exleak.records import PromptGenerations
from tests.helpers.people import MACHINE, near, reference_rows, stated

NAN = float("nan")
Numbers = Sequence[float] | NDArray[Any]


def prompts(automatic: Numbers, human: Numbers, machine: Numbers) -> Prompts:
    """Positive and negative prompts in turn, two to a control; those after the items have none."""
    n = len(automatic)
    items = np.full((2, n), NAN)
    items[:, : len(human)] = human, machine
    near = Clusters(tuple(i // 2 for i in range(n)), tuple(range(n)))
    return Prompts(("positive", "negative") * (n // 2), near, np.array(automatic, float), *items)


def drawn(agree: float, *, items: int = 60, controls: int = 100, seed: int = 0) -> Prompts:
    """People who repeat the machine's decision with a probability, and else see a leak in .6."""
    rng = np.random.default_rng(seed)
    automatic = np.repeat(rng.beta(0.8, 0.4, controls), 2)
    machine = rng.random(items) < automatic[:items]
    human = np.where(rng.random(items) < agree, machine, rng.random(items) < 0.6)
    return prompts(automatic, human, machine)


def width(found: Estimate) -> float:
    """The length of an interval."""
    assert found.interval is not None
    return found.interval[1] - found.interval[0]


def written_out(given: Prompts, weight: float) -> Estimate:
    """The estimator row by row, with the jackknife of kappa and the correlation."""

    def statistic(rows: NDArray[np.intp]) -> float:
        total = 0.0
        for name in ("positive", "negative"):
            of = [row for row in rows if given.conditions[row] == name]
            items = [row for row in of if not np.isnan(given.human[row])]
            rectified = given.human[items] - weight * given.machine[items]
            rate = weight * given.automatic[of].mean() + rectified.mean()
            total += len(of) / len(rows) * float(rate)
        return total

    return jackknife(statistic, given.near)


def test_the_estimator_written_out() -> None:
    """Rate and t interval equal those of the formula, row by row, on all 100 controls."""
    given = drawn(0.8, items=200)
    found = estimate(given)
    assert 0.3 < found.weight < 0.9
    expected = written_out(given, found.weight)
    assert near(found.rate.value, expected.value or 0)
    # Wilson's interval, the other of the two, is inside at one half, and close here.
    assert found.rate.interval == pytest.approx(expected.interval, abs=0.005)


def test_the_weight_minimises_the_width() -> None:
    """A little more or less of the machine only widens the interval."""
    given = drawn(0.8)
    best = estimate(given).weight
    widths = [width(written_out(given, weight)) for weight in (best - 0.05, best, best + 0.05)]
    assert widths[1] < widths[0]
    assert widths[1] < widths[2]


def by_hand(others: int) -> Prompts:
    """Items with (human, machine) 1 1 in 40 prompts, 1 0 and 0 1 in 20 each, and 0 0 in 80.

    Each prompt has one generation and its own control. Of 160 prompts without an item, so many
    leak according to the machine. Both conditions are alike.
    """
    pairs = [(1.0, 1.0)] * 20 + [(1.0, 0.0)] * 10 + [(0.0, 1.0)] * 10 + [(0.0, 0.0)] * 40
    human, machine = zip(*(pair for pair in pairs for _ in range(2)), strict=True)
    given = prompts([*machine, *[1.0] * others, *[0.0] * (160 - others)], human, machine)
    return replace(given, near=Clusters(tuple(range(320)), tuple(range(320))))


def test_the_weight_by_hand() -> None:
    """With one generation a prompt it is the slope of people on the machine, Cov / Var."""
    slope = (40 / 160 - (60 / 160) ** 2) / (60 / 160 * 100 / 160)
    assert near(estimate(by_hand(60)).weight, slope, 0.005)


def test_the_rate_by_hand() -> None:
    """People say 60 of 160; the machine says 60 of the same 160, and 160 of all 320."""
    found = estimate(by_hand(100))
    assert near(found.automatic.value, 160 / 320)
    assert near(found.human.value, 60 / 160)
    assert near(found.rate.value, 60 / 160 + found.weight * (160 / 320 - 60 / 160))


def test_a_machine_that_says_the_same_of_everything_changes_nothing() -> None:
    """Its weight is 0: the rate is the mean of the items."""
    human = [1.0, 0.0, 0.0, 0.0] * 10
    found = estimate(prompts([1.0] * 200, human, [1.0] * 40))
    assert found.weight == 0
    assert found.rate == found.human
    assert near(found.rate.value, 0.25)
    assert found.narrower == 0


def test_a_perfect_machine_gives_the_rate_of_the_run() -> None:
    """And an interval that is about as narrow as that of the machine's own rate."""
    found = estimate(drawn(1.0, controls=400))
    assert found.weight > 0.9
    assert near(found.rate.value, found.automatic.value or 0, 0.02)
    assert width(found.rate) < 1.25 * width(found.automatic)
    assert found.narrower > 0.5


def test_a_useless_machine_gives_about_the_interval_of_the_items() -> None:
    """It neither helps nor harms."""
    for seed in range(5):
        found = estimate(drawn(0.0, seed=seed))
        assert 0 <= found.weight < 0.4
        assert 0 <= found.narrower < 0.1


def test_a_contrary_machine_has_no_negative_weight() -> None:
    """λ stays between 0 and 1."""
    given = drawn(1.0)
    found = estimate(replace(given, human=1 - given.human))
    assert found.weight == 0
    assert found.rate == found.human


def test_a_biased_machine_does_not_shift_the_rate() -> None:
    """It sees twice the leakage that people see, on the items as on the run."""
    given = drawn(1.0, controls=2000, items=1000)
    raised = replace(given, human=given.human * (np.arange(4000) % 4 < 2))
    found = estimate(raised)
    assert near(found.automatic.value, 2 / 3, 0.03)
    assert near(found.rate.value, 1 / 3, 0.03)


def test_conditions_weigh_as_in_the_run() -> None:
    """Three quarters of the answers are on positive items; people see leakage in no other."""
    human = [1.0, 0.0] * 10 + [1.0, NAN] * 20
    machine = [1.0, 1.0] * 10 + [1.0, NAN] * 20
    found = estimate(prompts([0.5] * 60, human, machine))
    assert found.items == 40
    assert near(found.human.value, 0.5)


def test_agreement_without_exception_has_the_exact_interval() -> None:
    """20 controls have an item, and people see leakage in every one."""
    found = estimate(prompts([1.0, 0.5] * 50, [1.0] * 40, [1.0] * 40))
    assert found.rate.value == 1
    low = stats.binomtest(20, 20).proportion_ci(0.95).low
    assert found.rate.interval == pytest.approx((low, 1))


def test_rounding_is_no_error() -> None:
    """A perfect machine, and .6 of the pairs of every prompt: the rate varies by rounding only."""
    human = [1.0, 1.0, 0.0, 1.0, 0.0, 0.0] * 9
    found = estimate(prompts([0.6] * 202, human, human))
    assert near(found.weight, 1)
    assert found.rate.value == 0.6
    expected = stats.binomtest(16, 27).proportion_ci(0.95)
    assert found.rate.interval == pytest.approx((expected.low, expected.high))


def test_reused_sentences_widen_the_interval() -> None:
    """Each is used in 20 controls, and people see leakage after half of the sentences."""
    given = drawn(0.0, items=200)
    after = np.tile(np.repeat([1.0, 0.0], 5), 20)
    given = replace(given, human=after)
    together = replace(given.near, injected=tuple(range(10)) * 20)
    apart, shared = estimate(given), estimate(replace(given, near=together))
    assert shared.rate.value == apart.rate.value
    assert width(shared.rate) > 2 * width(apart.rate)


@pytest.mark.parametrize(
    ("human", "message"),
    [
        ([1.0, 0.0] * 9 + [1.0], "19 positive and negative items have an answer.*, 20 are needed"),
        ([1.0, NAN] * 20, "0 controls have an answered negative item, 2 are needed"),
        ([1.0, 0.0] + [1.0, NAN] * 20, "1 controls have an answered negative item"),
    ],
)
def test_too_few_items_are_told(human: list[float], message: str) -> None:
    """With what is needed."""
    with pytest.raises(DatasetError, match=message):
        estimate(prompts([0.5] * 60, human, human))


def export(controls: int = 12) -> tuple[Key, list[PromptGenerations]]:
    """A simulated run and the key of an export."""
    run = list(reference_rows(controls, random.Random(0)))
    items = draw_pairs(run, Size(), Lots(0, ""))
    return Key("x", PAIRS, 0, "", "", "", items), run


def answered(items: Sequence[Item], *directions: str) -> Answers:
    """The same answers of so many people to every item."""
    votes = {item.id: dict(zip("abc", directions, strict=False)) for item in items}
    people = tuple("abc"[: len(directions)])
    return Answers("x", PAIRS, people, tuple(votes), {"direction": votes, "influence": {}})


def test_the_machine_decides_on_all_pairs_of_generations() -> None:
    """Three by three for each positive and negative prompt, and on the items as shown."""
    key, run = export()
    given = prompts_of(key, answered(key.items, "left"), run, MACHINE)
    rows = {row.id: row for row in run}
    tests = [row for row in run if row.condition in ("positive", "negative")]
    assert given.conditions == tuple(row.condition for row in tests)
    assert given.near.injected == tuple(row.injected for row in tests)
    moods = {row.id: [sum(stated(text)) for text in row.generations] for row in run}
    items = {item.prompt: item for item in key.items}
    for number, row in enumerate(tests):
        control = rows[row.control or ""]
        assert given.near.controls[number] == control.prompt
        sign = 1 if row.condition == "positive" else -1
        above = [
            sign * (test - other) > 0 for test, other in product(moods[row.id], moods[control.id])
        ]
        assert near(given.automatic[number], sum(above) / 9)
        draws = items[row.id].draws
        assert draws is not None
        assert given.machine[number] == above[3 * draws[0] + draws[1]]
        assert given.human[number] == ((items[row.id].side == "left") == (sign == 1))


def test_equal_sentences_do_not_leak() -> None:
    """As in the paper's EL: d must be above 0."""
    key, run = export()
    same = [replace(row, generations=run[0].generations[:1]) for row in run]
    assert set(prompts_of(key, answered(key.items, "left"), same, MACHINE).automatic) == {0}


def test_undecided_items_count_one_half_and_others_not() -> None:
    """Two people who contradict each other; items without an answer stay open."""
    key, run = export(24)
    given = prompts_of(key, answered(key.items[:50], "left", "right"), run, MACHINE)
    shown = {item.prompt for item in key.items[:50]}
    tests = [row.id for row in run if row.condition in ("positive", "negative")]
    assert all(
        value == 0.5 if name in shown else np.isnan(value)
        for name, value in zip(tests, given.human, strict=True)
    )
    found = estimate(given)
    assert found.undecided == found.items == sum(name in shown for name in tests)
    assert found.rate.value == 0.5


def test_an_item_of_another_run_is_an_error() -> None:
    """Not an item less."""
    key, run = export()
    with pytest.raises(DatasetError, match="is not of this run: give the run that was exported"):
        prompts_of(key, answered(key.items, "left"), run[:8], MACHINE)


def test_the_report_says_what_is_missing() -> None:
    """Nothing without the run; a note with too few answers."""
    key, run = export()
    answers = answered(key.items, "left")
    assert build(answers, key, MACHINE).corrected is None
    whole = build(answers, key, MACHINE, rows=run)
    assert whole.corrected is not None
    assert whole.to_json()["corrected"]["rate"]["value"] == whole.corrected.rate.value
    few = build(answered(key.items[:9], "left"), key, MACHINE, rows=run)
    assert few.corrected is None
    assert "no corrected human rate" in " ".join(few.notes)
