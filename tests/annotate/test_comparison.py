"""Votes, and what they say beside the automatic decision, on cases worked out by hand."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from exleak.annotate.answers import Answers
from exleak.annotate.comparison import cohen_kappa, compare, differences, label, spearman
from exleak.annotate.export import export_labels
from exleak.annotate.intervals import Clusters, jackknife, mean
from exleak.annotate.key import Item, Key
from exleak.annotate.task import LABELS, PAIRS
from exleak.annotate.votes import decision, leaning, majority, vote_share
from tests.helpers.people import MACHINE, near

WARM, COLD, EVEN = (
    "it felt +1.0 noise +0.0.",
    "it felt -1.0 noise +0.0.",
    "it felt +0.0 noise +0.0.",
)


def item(name: str, condition: str, side: str, test: str, control: str) -> Item:
    """A pair with its test sentence on the given side."""
    other = "right" if side == "left" else "left"
    shown = {"context": "It", side: test, other: control}
    return Item(name, shown, condition, f"control {name}", None, name, side, (0, 0))


#: By hand: leaks, leaks, does not, leaks although people disagree, and a placebo.
ITEMS = (
    item("a", "positive", "left", WARM, COLD),
    item("b", "negative", "right", COLD, WARM),
    item("c", "positive", "right", COLD, WARM),
    item("d", "negative", "left", COLD, EVEN),
    item("e", "neutral", "left", WARM, WARM),
)
KEY = Key("x", PAIRS, 0, "", "", "", ITEMS)
DIRECTIONS: dict[str, tuple[str, ...]] = {
    "a": ("left", "left", "same"),
    "b": ("left", "left", "left"),
    "c": ("left", "left", "same"),
    "d": ("left", "same", "right"),
    "e": ("same", "same", "same"),
}


def given(directions: dict[str, tuple[str, ...]]) -> Answers:
    """Answers of three annotators; the influence is seen where they see a direction."""
    values = {
        "direction": {
            name: dict(zip("xyz", answers, strict=False)) for name, answers in directions.items()
        },
        "influence": {
            name: {
                person: "no" if answer == "same" else "yes"
                for person, answer in zip("xyz", answers, strict=False)
            }
            for name, answers in directions.items()
        },
    }
    return Answers("x", PAIRS, ("x", "y", "z"), tuple(directions), values)


def test_direction_leans_toward_the_injected_mood() -> None:
    """More positive test sentence: toward a positive mood, away from a negative one."""
    up, down = item("p", "positive", "left", "", ""), item("n", "negative", "left", "", "")
    assert [leaning(up, answer) for answer in ("left", "same", "right")] == [
        "toward", "same", "away",
    ]  # fmt: skip
    assert [leaning(down, answer) for answer in ("left", "same", "right")] == [
        "away", "same", "toward",
    ]  # fmt: skip


def test_the_decision_needs_more_than_half() -> None:
    """A tie decides nothing; "same" is no vote for a leak, and half a vote in the share."""
    assert decision(["toward", "toward", "away"]) is True
    assert decision(["toward", "same", "away"]) is False
    assert decision(["toward", "away"]) is None
    assert near(vote_share(["toward", "same", "away"]), 0.5)
    assert near(vote_share(["toward", "toward", "same"]), 5 / 6)


def test_ties_are_named_not_broken() -> None:
    """With the categories that share the first place."""
    found = majority({"a": ("x", "x", "y"), "b": ("x", "y"), "c": ()})
    assert found.winners == {"a": "x"}
    assert found.ties == {"b": ("x", "y")}


def test_comparison_by_hand() -> None:
    """People: leak, leak, no, no. Machine: leak, leak, no, leak."""
    found = compare(KEY, given(DIRECTIONS), MACHINE)
    assert found.items == 4
    assert found.undecided == ()
    assert near(found.human.value, 0.5)
    assert near(found.automatic.value, 0.75)
    assert near(found.accuracy.value, 0.75)
    # po = .75, pe = .5 * .75 + .5 * .25
    assert near(found.kappa.value, (0.75 - 0.5) / (1 - 0.5))
    # d: a = b > d > c; shares 5/6, 1, 1/6, 1/2: by mid-ranks (3.5, 3.5, 1, 2), (3, 4, 1, 2).
    assert near(found.correlation.value, float(stats.spearmanr([3.5, 3.5, 1, 2], [3, 4, 1, 2])[0]))
    assert {name: e.value for name, e in found.influence.items()} == {
        "positive": 1.0,
        "neutral": 0.0,
        "negative": 1.0,
    }


def test_undecided_items_are_named_and_left_out_of_the_rates() -> None:
    """They still count for the correlation."""
    found = compare(KEY, given({**DIRECTIONS, "a": ("left", "right")}), MACHINE)
    assert found.undecided == ("a",)
    assert (found.items, found.human.n, found.correlation.n) == (4, 3, 4)


def test_unanswered_items_are_left_out() -> None:
    """Nobody's silence is an answer."""
    found = compare(KEY, given({"a": ("left",)}), MACHINE)
    assert found.items == 1
    assert found.human.value == 1
    assert found.correlation.value is None
    assert found.kappa.value is None


def test_the_difference_is_of_the_injected_class() -> None:
    """Swapping sides does not change it; swapping test and control changes its sign."""
    swapped = item("a", "positive", "right", WARM, COLD)
    reverse = item("a", "positive", "left", COLD, WARM)
    one, two, three = differences((ITEMS[0], swapped, reverse), MACHINE)
    assert one == two == -three
    assert one > 0.8


def test_cohen_kappa_and_spearman_equal_other_implementations() -> None:
    """scikit-learn and scipy, on random decisions and on values with ties."""
    metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is not installed")
    rng = np.random.default_rng(0)
    for _ in range(50):
        left, right = rng.integers(3, size=(2, 30))
        ours = cohen_kappa(left, right)
        assert near(ours, float(metrics.cohen_kappa_score(left, right)))
        rank = spearman(left.astype(float), right.astype(float))
        assert near(rank, float(stats.spearmanr(left, right)[0]))


def test_two_points_or_no_spread_have_no_correlation() -> None:
    """Two points always lie on a line, and a constant has no ranks."""
    assert spearman(np.array([1.0, 2.0]), np.array([1.0, 2.0])) is None
    assert spearman(np.array([1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0])) is None


def test_labels_are_compared_with_the_dataset(tmp_path: Path) -> None:
    """A sentence on which the majority differs is listed with both labels; a tie is left out."""
    key = export_labels("hexl", tmp_path / "out")
    first, second = key.items[:2]
    other = "neutral" if first.condition != "neutral" else "positive"
    rest = {found.id: {"x": found.condition, "y": found.condition} for found in key.items[2:]}
    tie = {"x": "neutral", "y": "positive"}
    values = {"label": {**rest, first.id: {"x": other, "y": other}, second.id: tie}}
    ids = tuple(found.id for found in key.items)
    found = label(key, Answers(key.export, LABELS, ("x", "y"), ids, values))
    assert found.items == 179
    assert near(found.accuracy.value, 178 / 179)
    assert found.differing == ((first.id, first.shown["sentence"], first.condition, other),)


def test_the_jackknife_of_a_mean_is_the_clustered_t_interval() -> None:
    """Both estimators agree where both apply: clusters of equal size, a mean of one half."""
    rng = random.Random(0)
    values = [rng.random() for _ in range(30)]
    values += [1 - value for value in values]
    clusters = Clusters(tuple(i // 3 for i in range(60)), tuple(range(60)))
    array = np.array(values)
    one = jackknife(lambda rows: float(array[rows].mean()), clusters)
    two = mean(values, clusters)
    assert one.interval == pytest.approx(two.interval)


def test_an_interval_that_cannot_be_estimated_is_none() -> None:
    """Perfect agreement, one cluster, or a statistic that breaks without one of them."""
    clusters = Clusters(tuple(range(5)), tuple(range(5)))
    assert jackknife(lambda rows: 1.0, clusters).interval is None
    assert jackknife(lambda rows: 0.5, Clusters((1, 1), (1, 2))).interval is None
    assert jackknife(lambda rows: 0.5 if len(rows) == 5 else None, clusters).interval is None


def test_reused_injected_sentences_widen_the_interval() -> None:
    """The wider of the two clusterings is reported."""
    values = np.array([float(i % 4 < 2) for i in range(40)])
    shared = tuple(i % 4 for i in range(40))
    apart = Clusters(tuple(range(40)), tuple(range(40)))
    together = Clusters(tuple(range(40)), shared)
    widths = []
    for clusters in (apart, together):
        found = jackknife(lambda rows: float(values[rows].mean()), clusters)
        assert found.interval is not None
        widths.append(found.interval[1] - found.interval[0])
    assert widths[1] > 2 * widths[0]
