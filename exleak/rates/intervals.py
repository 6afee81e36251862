"""The mean over pairs with its clustered uncertainty: intervals, bounds and t-tests."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from exleak.rates.pairs import DECIMALS
from exleak.records import Rate

#: Confidence level of the intervals.
CONFIDENCE = 0.95
#: One-sided confidence level of the bounds that the gate uses.
LEVEL = 0.99


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

    Each end of the interval and of the bounds is the wider of two: the t interval, with one degree
    of freedom less than there are clusters, and Wilson's with the same standard error. Without
    variance between clusters, as at 0 or 1, both are the exact binomial interval over clusters
    (Clopper and Pearson 1934).

    Args:
        values: One value in [0, 1] per pair.
        controls: The control of each pair.
        sentences: The injected sentences of each pair. Where they are reused, the error is
            clustered on them too, and the largest is reported.
        level: One-sided confidence level of ``bounds``.
        null: Null rate of a one-sided t-test that gives ``p_value``.
        p_value: The p-value to report, if another test gives it.
        ties: The number of ties to report.
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
    if null is not None:
        p_value = _t_test(rate, error, clusters, null)
    return Rate(
        rate,
        n,
        interval(rate, error, clusters),
        interval(rate, error, clusters, confidence=2 * level - 1),
        p_value,
        ties,
        error,
    )


def interval(
    rate: float, error: float | None, clusters: int, *, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """The two-sided interval of a rate with a standard error, as in :func:`clustered_rate`."""
    if error:
        return interval_around(rate, error, clusters, (1 + confidence) / 2)
    return _binomial_interval(rate, clusters, confidence)


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


def interval_around(rate: float, error: float, clusters: int, level: float) -> tuple[float, float]:
    """The wider, on each side, of the t and Wilson's (1927) interval with the same error.

    Near 0 or 1 the standard error shrinks with the rate, and t intervals miss the true rate
    several times as often as stated. Wilson's interval uses the standard error at the bound.

    Args:
        level: One-sided confidence level of each end.
    """
    half = quantile(level, clusters - 1) * error
    low, high = max(0.0, rate - half), min(1.0, rate + half)
    if not 0 < rate < 1:
        return low, high
    inverse = half**2 / (rate * (1 - rate))
    centre = (rate + inverse / 2) / (1 + inverse)
    half = math.sqrt(inverse * (rate * (1 - rate) + inverse / 4)) / (1 + inverse)
    return min(low, centre - half), max(high, centre + half)


def quantile(level: float, freedom: int) -> float:
    """Quantile of Student's t distribution."""
    from scipy import special

    return float(special.stdtrit(freedom, level))


def _t_test(rate: float, error: float | None, clusters: int, null: float) -> float:
    """One-sided p-value of the rate against ``null``; exact binomial test without variance."""
    from scipy import special, stats

    if error:
        return float(special.stdtr(clusters - 1, -(rate - null) / error))
    hits = round(rate * clusters)
    return float(stats.binomtest(hits, clusters, null, alternative="greater").pvalue)


def _binomial_interval(rate: float, clusters: int, confidence: float) -> tuple[float, float]:
    from scipy import stats

    interval = stats.binomtest(round(rate * clusters), clusters).proportion_ci(confidence)
    return float(interval.low), float(interval.high)
