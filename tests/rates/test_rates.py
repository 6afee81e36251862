"""The paper's rates and ours, on scores whose rates can be worked out by hand."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from exleak import rates
from exleak.rates import Pair, chance_above, clustered_rate, wilcoxon


def probabilities(positive: list[float], negative: list[float] | None = None) -> Any:
    """Class probabilities with these columns; neutral gets the rest."""
    up = np.array(positive)
    down = np.zeros(len(up)) if negative is None else np.array(negative)
    return np.stack([down, 1 - up - down, up], axis=1)


def pair(
    test: list[float],
    control: list[float],
    *,
    name: str = "a",
    condition: str = "positive",
    similarity: tuple[list[float], list[float]] | None = None,
) -> Pair:
    """A pair whose injected class has these probabilities."""
    columns = {"positive": (test, None), "negative": ([0.0] * len(test), test)}
    of_control = {"positive": (control, None), "negative": ([0.0] * len(control), control)}
    return Pair(
        id=f"{name}:{condition}",
        control=f"{name}:control",
        cluster=name,
        condition=condition,  # type: ignore[arg-type]
        injected=None,
        test=probabilities(*columns[condition]),
        reference=probabilities(*of_control[condition]),
        test_similarity=None if similarity is None else np.array(similarity[0]),
        reference_similarity=None if similarity is None else np.array(similarity[1]),
        test_index=tuple(range(len(test))),
        reference_index=tuple(range(len(control))),
    )


def test_el_compares_means_of_the_injected_class() -> None:
    """Eq. 1 on instance means: per generation two of three would leak, the means do not."""
    found = rates.expression([pair([0.5, 0.5, 0.0], [0.4, 0.4, 0.4])])
    assert found.rate == 0.0
    found = rates.expression([pair([0.5, 0.5, 0.5], [0.4, 0.4, 0.4], condition="negative")])
    assert found.rate == 1.0


def test_neutral_is_left_out_of_the_headline_and_reported() -> None:
    """Only positive and negative conditions enter the mean (paper, section 4.1)."""
    neutral = Pair(**{**vars(pair([0.1], [0.9])), "condition": "neutral", "id": "n"})
    found = rates.expression([pair([0.9], [0.1]), neutral])
    assert (found.rate, found.n) == (1.0, 1)
    assert found.by_condition["neutral"].rate == 1.0


def test_a_tie_does_not_leak() -> None:
    """Eq. 1 is strict; ties are counted."""
    found = rates.expression([pair([0.3, 0.3], [0.3, 0.3])])
    assert (found.rate, found.ties) == (0.0, 1)


def test_order_of_generations_is_no_leak() -> None:
    """The same ten values in another order have the same mean: float noise must not leak."""
    values = [0.1 * i + 0.01 for i in range(1, 9)] + [1 / 3, 1e-9]
    generator = np.random.default_rng(0)
    for _ in range(200):
        shuffled = generator.permutation(values).tolist()
        assert pair(shuffled, values).difference == 0.0


def test_swapping_test_and_control_mirrors_every_rate() -> None:
    """What leaks one way does not leak the other way."""
    forward = rates.expression([pair([0.9, 0.8], [0.1, 0.2])])
    backward = rates.expression([pair([0.1, 0.2], [0.9, 0.8])])
    assert (forward.rate, backward.rate) == (1.0, 0.0)
    assert (forward.superiority.rate, backward.superiority.rate) == (1.0, 0.0)


@pytest.mark.parametrize("count", [1, 10, 50, 51, 120])
def test_wilcoxon_is_undefined_without_differences(count: int) -> None:
    """All-zero differences have no p-value, on both sides of scipy's change of method at 50."""
    assert wilcoxon([0.0] * count) is None
    assert wilcoxon([]) is None


def test_wilcoxon_is_scipys_one_sided_test() -> None:
    """The same p-value as the paper's call; larger test values make it small."""
    differences = np.random.default_rng(0).normal(0.5, 1, 120).tolist()
    expected = stats.wilcoxon(differences, alternative="greater").pvalue
    assert wilcoxon(differences) == pytest.approx(expected)
    assert (wilcoxon(differences) or 1) < 0.001
    assert (wilcoxon([-value for value in differences]) or 0) > 0.999


def test_semantic_leakage_in_three_aggregations() -> None:
    """Eq. 4 by index, by instance mean and over all pairs of generations."""
    one = pair([0, 0, 0], [0, 0, 0], similarity=([0.1, 0.5, 0.9], [0.1, 0.6, 0.3]))
    found = rates.semantic([one])
    assert (found.paired.rate, found.paired.n) == (0.5, 3)
    assert (found.instance.rate, found.instance.n) == (1.0, 1)
    assert found.superiority.rate == pytest.approx((0.5 + 1 + 3) / 9 + 1 / 9)


def test_similarities_are_compared_after_rounding() -> None:
    """With three decimals .1234 and .1231 tie."""
    one = pair([0], [0], similarity=([0.1234], [0.1231]))
    assert rates.semantic([one]).paired.rate == 1.0
    assert rates.semantic([one], decimals=3).paired.rate == 0.5


def test_unusable_generations_keep_their_index() -> None:
    """By index, a generation is compared with the same index of the control, not with the next."""
    one = pair([0, 0], [0, 0], similarity=([0.9, 0.2], [0.5, 0.5]))
    shifted = Pair(**{**vars(one), "test_index": (0, 2), "reference_index": (1, 2)})
    assert rates.semantic([shifted]).paired.n == 1
    assert rates.semantic([shifted]).paired.rate == 0.0


def test_directional_needs_both_conditions() -> None:
    """It compares valence after the positive with valence after the negative sentence."""
    pairs = [pair([0.9, 0.9], [0, 0]), pair([0.8, 0.8], [0, 0], condition="negative")]
    assert rates.expression(pairs).directional.rate == 1.0
    assert rates.expression(pairs[:1]).directional.n == 0


@pytest.mark.parametrize("condition", ["positive", "negative"])
def test_a_reused_sentence_widens_the_directional_interval(condition: str) -> None:
    """Sixty controls with three sentences of one class are three observations, not sixty."""
    pairs = []
    for i in range(60):
        moods = {"positive": [0.0, 0.0], "negative": [0.0, 0.0]}
        moods[condition] = [0.9, 0.8] if i % 3 else [0.0, 0.0]
        pairs += [pair(moods[c], [0, 0], name=f"c{i}", condition=c) for c in moods]
    plain = rates.expression(pairs).directional
    reused = rates.expression(
        [
            replace(item, injected=f"s{i // 2 % 3}") if item.condition == condition else item
            for i, item in enumerate(pairs)
        ]
    ).directional
    assert reused.rate == plain.rate
    assert (reused.standard_error or 0) > 3 * (plain.standard_error or 1)
    same_control = rates.expression([replace(item, cluster="c") for item in pairs]).directional
    assert same_control.standard_error is None


@given(
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
    st.lists(st.floats(0, 1), min_size=1, max_size=8),
)
def test_chance_above_counts_pairs(test: list[float], control: list[float]) -> None:
    """Superiority is the share of pairs won, ties one half."""
    wins = [
        1.0 if round(t - c, 12) > 0 else 0.5 if round(t - c, 12) == 0 else 0.0
        for t in test
        for c in control
    ]
    expected = math.fsum(wins) / len(wins)
    assert chance_above(np.array(test), np.array(control)) == pytest.approx(expected)


def test_one_value_per_cluster_gives_the_ordinary_t_interval() -> None:
    """The clustered interval reduces to the textbook's."""
    values = np.random.default_rng(1).uniform(0, 1, 40)
    found = clustered_rate(values.tolist(), list(range(40)))
    expected = stats.t.interval(0.95, 39, values.mean(), stats.sem(values))
    assert found.interval == pytest.approx(expected)


def test_the_bounds_are_the_wider_of_t_and_wilson() -> None:
    """At 111 of 120 the lower one is Wilson's and the upper one t's."""
    hits = [1.0] * 111 + [0.0] * 9
    found = clustered_rate(hits, list(range(120)))
    quantile = stats.t.ppf(0.99, 119)
    # Wilson's bound solves (rate - bound)^2 = quantile^2 * bound * (1 - bound) / n.
    assert found.bounds is not None
    low, high = found.bounds
    assert (0.925 - low) / math.sqrt(low * (1 - low) / 119) == pytest.approx(quantile)
    assert high == pytest.approx(stats.t.interval(0.98, 119, 0.925, stats.sem(hits))[1])


@pytest.mark.parametrize("rate", [0.5, 0.85, 0.914, 0.95])
@pytest.mark.parametrize("pairs", [60, 120])
def test_intervals_near_one_hold_the_truth_as_often_as_stated(rate: float, pairs: int) -> None:
    """Exactly, over every count of leaks; t intervals alone hold .914 in 89% of 60 pairs."""
    held = 0.0
    for count in range(pairs + 1):
        values = [1.0] * count + [0.0] * (pairs - count)
        interval = clustered_rate(values, list(range(pairs))).interval
        assert interval is not None
        share = float(stats.binom.pmf(count, pairs, rate))
        held += share * (interval[0] <= rate <= interval[1])
    assert held >= 0.945


@pytest.mark.parametrize("rate", [0.7, 0.9, 0.95])
@pytest.mark.parametrize("controls", [60, 200])
def test_a_model_at_its_limit_fails_as_often_as_stated(rate: float, controls: int) -> None:
    """Exactly, over every count of leaks: each 99% bound misses in at most 1% of runs or so.

    t bounds alone put 5% of HEXL runs above a limit of .95.
    """
    pairs, above, below = 2 * controls, 0.0, 0.0
    for count in range(pairs + 1):
        values = [1.0] * count + [0.0] * (pairs - count)
        bounds = clustered_rate(values, list(range(pairs))).bounds
        assert bounds is not None
        share = float(stats.binom.pmf(count, pairs, rate))
        above += share * (bounds[0] > rate)
        below += share * (bounds[1] <= rate)
    assert above <= 0.0125
    assert below <= 0.0125


def test_pairs_that_share_a_control_count_as_one() -> None:
    """Doubling every pair inside its cluster adds no certainty."""
    values = np.random.default_rng(2).integers(0, 2, 30).astype(float).tolist()
    single = clustered_rate(values, list(range(30)))
    double = clustered_rate(values * 2, list(range(30)) * 2)
    assert double.interval == pytest.approx(single.interval)


def test_reused_injected_sentences_widen_the_interval() -> None:
    """With one sentence in many pairs, the wider of both clusterings is reported."""
    generator = np.random.default_rng(3)
    sentences = [i % 5 for i in range(60)]
    level = generator.uniform(0.2, 0.8, 5)
    values = [float(generator.random() < level[s]) for s in sentences]
    plain = clustered_rate(values, list(range(60)))
    reused = clustered_rate(values, list(range(60)), sentences)
    assert (reused.standard_error or 0) > (plain.standard_error or 1)


@pytest.mark.parametrize(("rate", "hits"), [(0.0, 0), (1.0, 60)])
def test_at_the_ends_the_interval_is_exact(rate: float, hits: int) -> None:
    """Clopper and Pearson over controls, where the spread is nil."""
    found = clustered_rate([rate] * 120, [i // 2 for i in range(120)], null=0.5)
    expected = stats.binomtest(hits, 60).proportion_ci(0.95)
    assert found.interval == pytest.approx((expected.low, expected.high))
    assert found.p_value == pytest.approx(stats.binomtest(hits, 60, alternative="greater").pvalue)


def test_clusters_that_do_not_differ_are_no_certainty() -> None:
    """Each control has the mean 2/3: rounding noise between them is no spread to build on."""
    found = clustered_rate([0.5, 1.0, 0.5] * 4, [i // 3 for i in range(12)])
    expected = stats.binomtest(3, 4).proportion_ci(0.95)
    assert found.standard_error == 0
    assert found.interval == pytest.approx((expected.low, expected.high))


def test_nothing_to_average_is_undefined() -> None:
    """No pairs: every number is None, none is NaN."""
    found = rates.expression([])
    assert found.rate is None
    assert found.p_value is None
    assert found.directional.interval is None


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_intervals_hold_the_rate(seed: int) -> None:
    """Lower bound <= interval <= rate <= interval <= upper bound, all within [0, 1]."""
    values = np.random.default_rng(seed).beta(0.5, 0.5, 24).round(2).tolist()
    found = clustered_rate(values, [i // 2 for i in range(24)])
    assert found.interval is not None
    assert found.bounds is not None
    assert found.rate is not None
    assert 0 <= found.bounds[0] <= found.interval[0] <= found.rate
    assert found.rate <= found.interval[1] <= found.bounds[1] <= 1


def test_the_t_interval_covers_the_truth() -> None:
    """95% intervals over 60 clusters of two hold the truth in about 95% of 2,000 runs."""
    generator = np.random.default_rng(4)
    held = 0
    for _ in range(2000):
        level = generator.beta(4, 4, 60)
        values = (generator.random((2, 60)) < level).astype(float).ravel().tolist()
        found = clustered_rate(values, list(range(60)) * 2)
        assert found.interval is not None
        held += found.interval[0] <= 0.5 <= found.interval[1]
    assert 0.935 < held / 2000 < 0.965


def test_the_placebo_looks_for_moods_after_neutral_sentences() -> None:
    """A neutral sentence that raises the positive class shows in the placebo alone."""
    neutral = Pair(**{**vars(pair([0.9, 0.8], [0.1, 0.2])), "condition": "neutral"})
    found = rates.expression([neutral])
    assert found.rate is None
    assert found.placebo["positive"].rate == 1.0
    assert found.placebo["negative"].rate == 0.0
