"""Estimates with confidence intervals clustered on control prompts and injected sentences.

Means use :func:`exleak.rates.clustered_rate`, as all other rates of exleak. Other statistics
(kappa, alpha, rank correlation) use the delete-one-cluster jackknife, which is the same estimator
where both apply and needs no random numbers (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993, chapter 11; clusters as in Cameron, Gelbach and Miller 2008).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak.rates import CONFIDENCE, clustered_rate, quantile

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: Computes a statistic of the rows (items) with the given indices.
    Statistic = Callable[[NDArray[np.intp]], float | None]


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: The number; ``None`` if undefined.
        n: Number of items.
        interval: Two-sided 95% confidence interval, ``None`` if it cannot be estimated.
    """

    value: float | None
    n: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Clusters:
    """The clusters of each item: its control and its injected sentence."""

    controls: tuple[Hashable, ...]
    injected: tuple[Hashable, ...]

    def take(self, rows: Sequence[int]) -> Clusters:
        """The clusters of a subset of items."""
        return Clusters(
            tuple(self.controls[i] for i in rows), tuple(self.injected[i] for i in rows)
        )


def mean(values: Sequence[float], clusters: Clusters) -> Estimate:
    """Clustered mean of values in [0, 1]; exact binomial over controls without variance."""
    rate = clustered_rate(values, clusters.controls, clusters.injected)
    return Estimate(rate.rate, rate.n, rate.interval)


def jackknife(
    statistic: Statistic, clusters: Clusters, *, floor: float = -1.0, correlation: bool = False
) -> Estimate:
    """A statistic with its jackknife t interval, with one degree of freedom less than clusters.

    If injected sentences are reused, the wider of the intervals over controls and over sentences.

    Args:
        statistic: A function of the indices of the items to use; its value is at most 1.
        clusters: The clusters of each item.
        floor: The minimum of the statistic.
        correlation: Use Fisher's z scale, on which a correlation is closer to normal.
    """
    import numpy as np

    n = len(clusters.controls)
    value = statistic(np.arange(n))
    if value is None:
        return Estimate(None, n)
    groups = [clusters.controls]
    if len(set(clusters.injected)) < n:
        groups.append(clusters.injected)
    estimates = [_interval(statistic, value, group, correlation) for group in groups]
    intervals = [interval for interval in estimates if interval is not None]
    if not intervals:
        return Estimate(value, n)
    low, high = max(intervals, key=lambda interval: interval[1] - interval[0])
    return Estimate(value, n, (max(floor, low), min(1.0, high)))


def _interval(
    statistic: Statistic, value: float, labels: Sequence[Hashable], correlation: bool
) -> tuple[float, float] | None:
    import numpy as np

    numbers = {label: number for number, label in enumerate(dict.fromkeys(labels))}
    member = np.array([numbers[label] for label in labels])
    count = len(numbers)
    if count < 2:
        return None
    without = [statistic(np.flatnonzero(member != number)) for number in range(count)]
    values = [_scale(item, correlation) for item in without]
    centre = _scale(value, correlation)
    if centre is None or any(item is None for item in values):
        return None
    error = math.sqrt((count - 1) * float(np.var(np.array(values, dtype=float))))
    # Leave-one-out values that differ only by rounding give no estimate of the variance.
    if error < 1e-9:
        return None
    half = quantile((1 + CONFIDENCE) / 2, count - 1) * error
    low, high = centre - half, centre + half
    return (math.tanh(low), math.tanh(high)) if correlation else (low, high)


def _scale(value: float | None, correlation: bool) -> float | None:
    if value is None or not correlation:
        return value
    return math.atanh(value) if abs(value) < 1 else None
