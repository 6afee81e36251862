"""Leakage rates: the paper's EL, mu, W and L, and their robust counterparts.

A *pair* is one test prompt with its control. Scores enter as arrays over the usable generations
of a prompt. Every rate is a mean over pairs; its uncertainty is clustered on the control, because
the pairs of one sample share it, and on the injected sentence where one is reused.

Sources: Eq. 1, 2 and 4 of the paper for EL, mu and L; the sources of our own rates are given at
each function.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from exleak.records import CLASSES, LEAKING_CONDITIONS, Condition, Expression, Rate, Semantic

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Means are rounded to this many decimals: the same values summed in another order differ in the
#: last bit, and a strict comparison would take that for a leak.
DECIMALS = 12
#: Share of intervals that hold the true rate.
CONFIDENCE = 0.95
#: One-sided confidence of the bounds that the gate decides on.
LEVEL = 0.99

Aggregation = Literal["paired", "instance", "superiority"]


@dataclass(frozen=True)
class Pair:
    """A test prompt against its control.

    Attributes:
        id: The test prompt's id.
        control: The control prompt's id.
        cluster: The control prompt's text: what its uncertainty is clustered on.
        condition: The injected class, or ``"test"`` when there is none.
        injected: The injected sentence, the second cluster; ``None`` when unknown.
        test, reference: Class probabilities of the usable generations of the test and the control
            prompt, shape (K, 3) and (K', 3), columns as :data:`exleak.records.CLASSES`.
        test_similarity, reference_similarity: Cosine similarity to the concept, shape (K,) and
            (K',); ``None`` without a concept.
        test_index, reference_index: Which generations those are: "by index" pairs equal numbers.
    """

    id: str
    control: str
    cluster: str
    condition: Condition
    injected: str | None
    test: Array
    reference: Array
    test_similarity: Array | None = None
    reference_similarity: Array | None = None
    test_index: tuple[int, ...] = ()
    reference_index: tuple[int, ...] = ()

    @property
    def column(self) -> int:
        """The column of the injected class."""
        return CLASSES.index(self.condition)

    @property
    def difference(self) -> float:
        """Mean probability of the injected class, test minus control (the paper's d)."""
        return difference(self.test[:, self.column], self.reference[:, self.column])


def mean(values: Array) -> float:
    """Exactly summed mean, rounded to :data:`DECIMALS`, the same in any order of values."""
    return round(math.fsum(values.tolist()) / len(values), DECIMALS)


def difference(test: Array, control: Array) -> float:
    """Difference of two means, free of rounding noise."""
    return round(mean(test) - mean(control), DECIMALS)


def leaks(value: float) -> float:
    """EL of one pair (Eq. 1): strictly above 0 counts."""
    return 1.0 if value > 0 else 0.0


def heuristic(value: float) -> float:
    """L of one comparison (Eq. 4): ties count one half."""
    return 1.0 if value > 0 else 0.5 if value == 0 else 0.0


def chance_above(test: Array, control: Array) -> float:
    """Chance that a value of ``test`` exceeds one of ``control``, ties one half.

    The Mann-Whitney statistic over its maximum, also known as the common-language effect size
    (McGraw and Wong 1992) and Vargha and Delaney's A (2000).
    """
    import numpy as np

    above = np.sign(np.round(test[:, None] - control[None, :], DECIMALS))
    return round(float(np.mean((above + 1) / 2)), DECIMALS)


def wilcoxon(differences: Sequence[float]) -> float | None:
    """One-sided p-value of the Wilcoxon signed-rank test that differences lie above 0.

    ``scipy.stats.wilcoxon(d, alternative="greater")`` as in the paper; ``None`` where it is
    undefined: without differences, or when all of them are 0 (scipy then says NaN or 1).
    """
    if not any(differences):
        return None
    from scipy import stats

    return float(stats.wilcoxon(list(differences), alternative="greater").pvalue)


def clustered_rate(
    values: Sequence[float],
    controls: Sequence[Hashable],
    *sentences: Sequence[Hashable],
    level: float = LEVEL,
    null: float | None = None,
    p_value: float | None = None,
    ties: int = 0,
) -> Rate:
    """A mean over pairs with its clustered uncertainty.

    t intervals with one degree of freedom less than there are clusters; with one pair per
    cluster that is the ordinary t interval over clusters. The bounds are the wider of t and
    Wilson's. Where the clusters do not differ, as at 0 or 1, both are the exact binomial interval
    over clusters (Clopper and Pearson 1934).

    Args:
        values: One value in [0, 1] per pair.
        controls: The control of each pair.
        sentences: The injected sentence of each pair, or several: clustered on too where one is
            reused, and the widest is reported.
        level: One-sided confidence of ``bounds``.
        null: If given, ``p_value`` is that of a one-sided t test of the rate against it.
        p_value: The p-value to carry, where another test gives it.
        ties: The number of ties to carry.
    """
    n = len(values)
    if n == 0:
        return Rate(None, 0)
    rate = round(math.fsum(values) / n, DECIMALS)
    clusters = len(set(controls))
    error = _standard_error(values, rate, controls)
    for injected in sentences:
        other = _standard_error(values, rate, injected) if len(set(injected)) < n else None
        if error is not None and other is not None and other > error:
            error, clusters = other, len(set(injected))
    interval: tuple[float, float] | None
    bounds: tuple[float, float] | None
    if error:
        interval = _t_interval(rate, error, clusters, (1 + CONFIDENCE) / 2)
        bounds = _bounds(rate, error, clusters, level)
    else:
        interval = _binomial_interval(rate, clusters, CONFIDENCE)
        bounds = _binomial_interval(rate, clusters, 2 * level - 1)
    if null is not None:
        p_value = _t_test(rate, error, clusters, null)
    return Rate(rate, n, interval, bounds, p_value, ties, error)


def _standard_error(
    values: Sequence[float], rate: float, clusters: Sequence[Hashable]
) -> float | None:
    """Cluster-robust standard error of a mean; ``None`` with fewer than two clusters."""
    sums: dict[Hashable, list[float]] = {}
    for value, cluster in zip(values, clusters, strict=True):
        sums.setdefault(cluster, []).append(value - rate)
    count = len(sums)
    if count < 2:
        return None
    squares = math.fsum(math.fsum(group) ** 2 for group in sums.values())
    return round(math.sqrt(squares * count / (count - 1)) / len(values), DECIMALS)


def _t_interval(rate: float, error: float, clusters: int, level: float) -> tuple[float, float]:
    half = quantile(level, clusters - 1) * error
    return max(0.0, rate - half), min(1.0, rate + half)


def _bounds(rate: float, error: float, clusters: int, level: float) -> tuple[float, float]:
    """The wider, on each side, of the t interval and Wilson's (1927) with the same error.

    Near 0 or 1 the spread shrinks with the rate, and t bounds miss the truth several times as
    often as stated. Wilson's take the spread at the bound itself.
    """
    low, high = _t_interval(rate, error, clusters, level)
    if not 0 < rate < 1:
        return low, high
    inverse = (quantile(level, clusters - 1) * error) ** 2 / (rate * (1 - rate))
    centre = (rate + inverse / 2) / (1 + inverse)
    half = math.sqrt(inverse * (rate * (1 - rate) + inverse / 4)) / (1 + inverse)
    return min(low, centre - half), max(high, centre + half)


def quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t distribution."""
    from scipy import special

    return float(special.stdtrit(freedom, level))


def _t_test(rate: float, error: float | None, clusters: int, null: float) -> float:
    """One-sided p-value that the rate lies above ``null``; exact binomial without any spread."""
    from scipy import special, stats

    if error:
        return float(special.stdtr(clusters - 1, -(rate - null) / error))
    hits = round(rate * clusters)
    return float(stats.binomtest(hits, clusters, null, alternative="greater").pvalue)


def _binomial_interval(rate: float, clusters: int, confidence: float) -> tuple[float, float]:
    from scipy import stats

    interval = stats.binomtest(round(rate * clusters), clusters).proportion_ci(confidence)
    return float(interval.low), float(interval.high)


def expression(pairs: Sequence[Pair], *, level: float = LEVEL) -> Expression:
    """Every expression leakage rate.

    The headline is the paper's: mean of EL over the positive and negative conditions, and the
    Wilcoxon test on the same pairs' differences. Pairs without an expression class are left out.
    """
    conditions = ("positive", "neutral", "negative")
    by_condition = {
        name: _el([p for p in pairs if p.condition == name], level) for name in conditions
    }
    leaking = [pair for pair in pairs if pair.condition in LEAKING_CONDITIONS]
    headline = _el(leaking, level)
    return Expression(
        rate=headline.rate,
        n=headline.n,
        interval=headline.interval,
        bounds=headline.bounds,
        p_value=headline.p_value,
        ties=headline.ties,
        standard_error=headline.standard_error,
        by_condition=by_condition,
        superiority=_superiority(leaking, level),
        directional=directional(pairs, level=level),
        placebo={name: _placebo(pairs, name, level) for name in LEAKING_CONDITIONS},
    )


def _placebo(pairs: Sequence[Pair], injected_class: Condition, level: float) -> Rate:
    """How often a neutral sentence raises a class that it does not have."""
    neutral = [pair for pair in pairs if pair.condition == "neutral"]
    return _el([replace(pair, condition=injected_class) for pair in neutral], level)


def _el(pairs: Sequence[Pair], level: float) -> Rate:
    differences = [pair.difference for pair in pairs]
    return clustered_rate(
        [leaks(value) for value in differences],
        [pair.cluster for pair in pairs],
        _injected(pairs),
        level=level,
        p_value=wilcoxon(differences),
        ties=differences.count(0.0),
    )


def _injected(pairs: Sequence[Pair]) -> list[Hashable]:
    """Second cluster of each pair; unknown sentences are all different."""
    return [pair.injected if pair.injected is not None else pair.id for pair in pairs]


def superiority_of(pair: Pair) -> float:
    """Chance that a test generation scores above a control generation on the injected class."""
    return chance_above(pair.test[:, pair.column], pair.reference[:, pair.column])


def _superiority(pairs: Sequence[Pair], level: float) -> Rate:
    return clustered_rate(
        [superiority_of(pair) for pair in pairs],
        [pair.cluster for pair in pairs],
        _injected(pairs),
        level=level,
        null=0.5,
    )


def valence(probabilities: Array) -> Array:
    """P[positive] - P[negative], shape (K,) from (K, 3)."""
    return probabilities[:, 2] - probabilities[:, 0]


def directional_by_control(pairs: Sequence[Pair]) -> dict[str, float]:
    """Directional value of each control that has both a positive and a negative test prompt.

    The chance, over all pairs of generations, that valence is higher after the positive sentence
    than after the negative one, ties one half. What any inserted sentence does cancels.
    """
    return {
        control: mean_of([chance_above(valence(u.test), valence(d.test)) for u in up for d in down])
        for control, (up, down) in _opposites(pairs).items()
    }


def _opposites(pairs: Sequence[Pair]) -> dict[str, tuple[list[Pair], list[Pair]]]:
    """The positive and the negative pairs of each control that has both."""
    groups: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        groups.setdefault(pair.control, {}).setdefault(pair.condition, []).append(pair)
    return {
        control: (group["positive"], group["negative"])
        for control, group in groups.items()
        if "positive" in group and "negative" in group
    }


def mean_of(values: Sequence[float]) -> float:
    """Mean of a few floats, exactly summed."""
    return math.fsum(values) / len(values)


def directional(pairs: Sequence[Pair], *, level: float = LEVEL) -> Rate:
    """Directional rate: mean of :func:`directional_by_control`, tested against one half."""
    values = list(directional_by_control(pairs).values())
    opposites = _opposites(pairs).values()
    texts = [up[0].cluster for up, _ in opposites]
    sentences = [
        [tuple(_injected(side)) for side in sides] for sides in zip(*opposites, strict=True)
    ]
    return clustered_rate(values, texts, *sentences, level=level, null=0.5)


def semantic(
    pairs: Sequence[Pair], *, decimals: int | None = None, level: float = LEVEL
) -> Semantic:
    """Every semantic leakage rate (Eq. 3 and 4), over the pairs that have a concept.

    Args:
        pairs: Pairs with similarities.
        decimals: Round similarities to this many decimals before comparing.
        level: One-sided confidence of the bounds.
    """
    known = [pair for pair in pairs if pair.test_similarity is not None]
    conditions = [
        name
        for name in ("positive", "neutral", "negative", "test")
        if any(pair.condition == name for pair in known)
    ]
    return Semantic(
        paired=_semantic(known, "paired", decimals, level),
        instance=_semantic(known, "instance", decimals, level),
        superiority=_semantic(known, "superiority", decimals, level),
        by_condition={
            name: _semantic([p for p in known if p.condition == name], "instance", decimals, level)
            for name in conditions
        },
    )


def _semantic(
    pairs: Sequence[Pair], aggregation: Aggregation, decimals: int | None, level: float
) -> Rate:
    values: list[float] = []
    controls: list[str] = []
    injected: list[Hashable] = []
    for pair, second in zip(pairs, _injected(pairs), strict=True):
        found = similarity_values(pair, aggregation, decimals)
        values += found
        controls += [pair.cluster] * len(found)
        injected += [second] * len(found)
    return clustered_rate(
        values,
        controls,
        injected,
        level=level,
        ties=sum(value == 0.5 for value in values) if aggregation != "superiority" else 0,
    )


def similarity_values(pair: Pair, aggregation: Aggregation, decimals: int | None) -> list[float]:
    """L of one pair: a value per index, or a single one."""
    assert pair.test_similarity is not None
    assert pair.reference_similarity is not None
    test, control = pair.test_similarity, pair.reference_similarity
    digits = DECIMALS if decimals is None else decimals
    test, control = test.round(digits), control.round(digits)
    if aggregation == "instance":
        return [heuristic(difference(test, control))]
    if aggregation == "superiority":
        return [chance_above(test, control)]
    by_index = dict(zip(pair.reference_index, control.tolist(), strict=True))
    return [
        heuristic(value - by_index[index])
        for index, value in zip(pair.test_index, test.tolist(), strict=True)
        if index in by_index
    ]
