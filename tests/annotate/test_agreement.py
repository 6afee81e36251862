"""Agreement figures against published examples, the krippendorff package and brute force."""

from __future__ import annotations

import itertools
import random
from typing import Any

import numpy as np
import pytest

from exleak.annotate.agreement import (
    agreement,
    count,
    fleiss_kappa,
    krippendorff_alpha,
    pairwise,
    specific,
)
from exleak.annotate.intervals import Clusters
from tests.helpers.people import near

#: J. L. Fleiss, Measuring nominal scale agreement among many raters (1971), table 1: how many of
#: six psychiatrists gave each of 30 patients one of five diagnoses.
FLEISS = """00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050
02031 00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500
00006"""

#: K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), by observer; . is missing.
#: A: two observers, binary. B: two observers, nominal. C: four observers with missing values.
ALPHA_A = ("0100000010", "1110010000")
ALPHA_B = ("aabbdcccedda", "babbbccceddd")
ALPHA_C = ("123321412...", "1233224125.3", ".3332342251.", "12332441251.")


def fleiss_table() -> Any:
    """Fleiss' counts, shape (30, 5)."""
    return np.array([[int(digit) for digit in row] for row in FLEISS.split()])


def by_item(observers: tuple[str, ...]) -> list[list[str]]:
    """Answers of each item, from those of each observer."""
    return [[value for value in item if value != "."] for item in zip(*observers, strict=True)]


def counts_of(observers: tuple[str, ...]) -> Any:
    """Counts, shape (items, categories)."""
    return count(by_item(observers), sorted(set("".join(observers)) - {"."}))


def alone(items: int) -> Clusters:
    """Every item on its own."""
    return Clusters(tuple(range(items)), tuple(range(items)))


def test_fleiss_1971() -> None:
    """Kappa is .430 and raw agreement .556, as Fleiss computed."""
    table = fleiss_table()
    assert table.shape == (30, 5)
    assert near(fleiss_kappa(table), 0.430, 5e-4)
    assert near(float(pairwise(table).mean()), 0.5556, 5e-5)


def test_specific_agreement_is_fleiss_conditional_probability() -> None:
    """Given one diagnosis by a psychiatrist, the chance that another says the same."""
    table = fleiss_table()
    for number in range(5):
        pairs = same = 0
        for row in table:
            answers = [j for j, given in enumerate(row) for _ in range(given)]
            for first, second in itertools.permutations(range(6), 2):
                pairs += answers[first] == number
                same += answers[first] == answers[second] == number
        assert near(specific(table, number), same / pairs)


def test_fleiss_kappa_of_wikipedia() -> None:
    """The worked example of the article "Fleiss' kappa": 14 raters, ten items, .210."""
    rows = ["0 0 0 0 14", "0 2 6 4 2", "0 0 3 5 6", "0 3 9 2 0", "2 2 8 1 1", "7 7 0 0 0",
            "3 2 6 3 0", "2 5 3 2 2", "6 5 2 1 0", "0 2 2 3 7"]  # fmt: skip
    table = np.array([list(map(int, row.split())) for row in rows])
    assert near(fleiss_kappa(table), 0.210, 5e-4)


@pytest.mark.parametrize(
    ("observers", "published"), [(ALPHA_A, 0.095), (ALPHA_B, 0.692), (ALPHA_C, 0.743)]
)
def test_krippendorff_2011(observers: tuple[str, ...], published: float) -> None:
    """Nominal alpha as published, without and with missing answers."""
    assert near(krippendorff_alpha(counts_of(observers)), published, 5e-4)


def test_alpha_equals_the_krippendorff_package() -> None:
    """On 200 random matrices with holes, two to six annotators, two to five categories."""
    package = pytest.importorskip("krippendorff", reason="the krippendorff package is missing")
    rng, compared = np.random.default_rng(0), 0
    for _ in range(200):
        annotators, items, kinds = rng.integers(2, 7), rng.integers(4, 40), rng.integers(2, 6)
        matrix = rng.integers(kinds, size=(annotators, items)).astype(float)
        matrix[rng.random(matrix.shape) < rng.uniform(0, 0.6)] = np.nan
        ratings = [[str(int(v)) for v in item if not np.isnan(v)] for item in matrix.T]
        ours = krippendorff_alpha(count(ratings, [str(kind) for kind in range(kinds)]))
        if ours is not None:
            theirs = package.alpha(reliability_data=matrix, level_of_measurement="nominal")
            assert near(ours, float(theirs))
            compared += 1
    assert compared > 150


def test_alpha_of_two_complete_annotators_is_near_scott_pi() -> None:
    """Equal to Scott's pi but for Krippendorff's small-sample correction, by definition."""
    counts = counts_of(ALPHA_B)
    observed, shares = pairwise(counts).mean(), counts.sum(axis=0) / counts.sum()
    pi = (observed - (shares**2).sum()) / (1 - (shares**2).sum())
    n = counts.sum()
    assert near(krippendorff_alpha(counts), float(1 - (1 - pi) * (n - 1) / n))


def test_undefined_is_none_not_a_number() -> None:
    """One category only, or no item with two answers: neither alpha nor kappa."""
    for counts in (np.array([[3, 0], [3, 0]]), np.zeros((0, 2), dtype=int)):
        assert krippendorff_alpha(counts) is None
        assert fleiss_kappa(counts) is None
    assert krippendorff_alpha(np.array([[1, 0], [0, 1]])) is None


def test_fleiss_uses_complete_items_only() -> None:
    """With holes it is computed from the items that everyone answered, and says how many."""
    rng = random.Random(1)
    ratings = [[rng.choice("ab") for _ in range(3)] for _ in range(30)]
    holes = [item[: 3 - (number % 3 == 0)] for number, item in enumerate(ratings)]
    found = agreement("q", "ab", holes, alone(30), annotators=3)
    whole = [item for item in holes if len(item) == 3]
    assert (found.items, found.complete, found.fleiss.n) == (30, 20, 20)
    assert found.fleiss.value == fleiss_kappa(count(whole, "ab"))


def test_high_raw_agreement_with_a_rare_category_warns() -> None:
    """95% of pairs agree, alpha is below 0: the warning names the category behind it."""
    ratings = [["no", "no"]] * 38 + [["no", "yes"], ["yes", "no"]]
    (warning,) = agreement("q", ("yes", "no"), ratings, alone(40), 2).warnings
    assert "0.95 hides a low alpha of -0.01" in warning
    assert "98% of the answers are 'no'" in warning


def test_agreement_in_one_category_warns() -> None:
    """When nobody ever says anything else, nothing shows that it is not chance."""
    found = agreement("q", ("yes", "no"), [["no", "no"]] * 10, alone(10), 2)
    assert found.raw.value == 1
    assert found.alpha.value is None
    assert "nothing shows it is not chance" in found.warnings[0]


def test_high_agreement_on_balanced_answers_does_not_warn() -> None:
    """No warning where raw agreement means what it seems to."""
    ratings = [["a", "a"], ["b", "b"]] * 10 + [["a", "b"]]
    assert agreement("q", "ab", ratings, alone(21), 2).warnings == ()


def test_items_of_one_control_widen_the_interval() -> None:
    """Ten copies of each item carry no more information than one."""
    rng = random.Random(3)
    few = [[rng.choice("ab"), rng.choice("ab")] for _ in range(20)]
    many = [item for item in few for _ in range(10)]
    controls = tuple(number for number in range(20) for _ in range(10))
    single = agreement("q", "ab", few, alone(20), 2)
    apart = agreement("q", "ab", many, alone(200), 2)
    together = agreement("q", "ab", many, Clusters(controls, tuple(range(200))), 2)
    for name in ("raw", "fleiss"):
        widths = [_width(getattr(found, name)) for found in (single, apart, together)]
        assert widths[1] < 0.5 * widths[0]
        assert widths[2] == pytest.approx(widths[0])


def _width(estimate: Any) -> float:
    return float(estimate.interval[1] - estimate.interval[0])


def test_intervals_of_shares_stay_within_0_and_1() -> None:
    """Also next to the ends, and exactly at them."""
    ratings = [["a", "a"]] * 30 + [["a", "b"]] * 3 + [["c", "c"], ["c", "c"]]
    found = agreement("q", "abc", ratings, alone(35), 2).by_category
    assert found["b"].value == 0
    assert found["c"].value == 1
    for estimate in found.values():
        assert estimate.interval is not None
        assert 0 <= estimate.interval[0] < estimate.interval[1] <= 1
    rare = agreement("q", "ab", [["b", "b"], *[["a", "b"]] * 9, *[["a", "a"]] * 9], alone(19), 2)
    assert rare.by_category["b"].interval is not None
    assert rare.by_category["b"].interval[0] == 0
