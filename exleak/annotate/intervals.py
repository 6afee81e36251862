"""Estimates with intervals that respect what the items of one control have in common.

Means use :func:`exleak.rates.clustered_rate`, as every other rate of exleak does. Statistics that
are no means (kappa, alpha, rank correlation) use the delete-one-cluster jackknife, which is the
same estimator where both apply and needs no random numbers (Efron and Tibshirani, An Introduction
to the Bootstrap, 1993, chapter 11; clusters as in Cameron, Gelbach and Miller 2008).
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

    #: Computes a statistic from the rows (items) it is given by number.
    Statistic = Callable[[NDArray[np.intp]], float | None]


@dataclass(frozen=True)
class Estimate:
    """A number with its uncertainty.

    Attributes:
        value: ``None`` when undefined.
        n: Items it was computed from.
        interval: Two-sided 95% interval over controls, ``None`` when it cannot be estimated.
    """

    value: float | None
    n: int
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class Clusters:
    """What each item shares with others: its control, and its injected sentence if reused."""

    controls: tuple[Hashable, ...]
    injected: tuple[Hashable, ...]

    def take(self, rows: Sequence[int]) -> Clusters:
        """The clusters of some items."""
        return Clusters(
            tuple(self.controls[i] for i in rows), tuple(self.injected[i] for i in rows)
        )


def mean(values: Sequence[float], clusters: Clusters) -> Estimate:
    """Mean of values in [0, 1], clustered; exact binomial over controls where none differ."""
    found = clustered_rate(values, clusters.controls, clusters.injected)
    return Estimate(found.rate, found.n, found.interval)


def jackknife(
    statistic: Statistic, clusters: Clusters, *, floor: float = -1.0, correlation: bool = False
) -> Estimate:
    """A statistic with its jackknife interval: t with one degree of freedom less than clusters.

    The wider of the intervals over controls and over injected sentences, where one is reused.

    Args:
        statistic: Called with the numbers of the items to use; at most 1.
        clusters: Of each item.
        floor: The least value that the statistic can take.
        correlation: Work on Fisher's z scale, on which a correlation is nearer to normal.
    """
    import numpy as np

    n = len(clusters.controls)
    value = statistic(np.arange(n))
    if value is None:
        return Estimate(None, n)
    groups = [clusters.controls]
    if len(set(clusters.injected)) < n:
        groups.append(clusters.injected)
    found = [_interval(statistic, value, group, correlation) for group in groups]
    intervals = [interval for interval in found if interval is not None]
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
    # Leave-one-out values that differ only by rounding say nothing about the spread.
    if error < 1e-9:
        return None
    half = quantile((1 + CONFIDENCE) / 2, count - 1) * error
    low, high = centre - half, centre + half
    return (math.tanh(low), math.tanh(high)) if correlation else (low, high)


def _scale(value: float | None, correlation: bool) -> float | None:
    if value is None or not correlation:
        return value
    return math.atanh(value) if abs(value) < 1 else None
