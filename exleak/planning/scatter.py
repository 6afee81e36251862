"""How a rate varies over controls, and how much of that more continuations would remove.

The value of a control prompt is its share in a rate: its directional value, or the mean EL of its
positive and negative prompt. Its variance has two parts. The part *between controls* is there
because the model leaks more after some prompts than after others; only more controls make it
harmless. The part *within* is there because another draw of the continuations would give the
control another value; more continuations reduce it.

Directional values are averages over all pairs of continuations, so the part within is that of a
two-sample U-statistic, whose components have unbiased estimates (Hoeffding 1948; van der Vaart,
Asymptotic Statistics, chapter 12). EL is 0 or 1. Its parts follow from a probit model: a pair's
difference has a true value, normal over pairs, plus the error of two means of K continuations. More
continuations make that error smaller, which moves the *rate* away from one half; the variance of a
value that is 0 or 1 changes only with it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak.errors import ReportError
from exleak.rates import expression, residual
from exleak.rates.pairs import DECIMALS, Pair, opposites, valence
from exleak.records import LEAKING_CONDITIONS, Measurement, Rate

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.gate.limits import Metric

    Array = NDArray[np.float64]


@dataclass(frozen=True)
class Averages:
    """How the part within of directional values depends on the number k of continuations.

    It is proportional to ``first / k + second / k**2``.
    """

    first: float = 1.0
    second: float = 0.0

    def __call__(self, count: float) -> float:
        """The part within with so many continuations, up to a factor."""
        return self.first / count + self.second / count**2


@dataclass(frozen=True)
class Probit:
    """True differences of pairs and the errors of their estimates, both normal.

    Attributes:
        own, cross: Variance of a pair's true difference, and the covariance of those of the
            positive and the negative pair of a control.
        own_error, cross_error: The same of the errors with one continuation per prompt. The pairs
            of a control share its continuations, so their errors are not independent.
    """

    own: float
    cross: float
    own_error: float
    cross_error: float

    def total(self, count: float) -> float:
        """Variance of an estimated difference with so many continuations per prompt."""
        return self.own + self.own_error / count

    def variances(self, rate: float, count: float) -> tuple[float, float]:
        """The variance of the mean EL of a control's two pairs, and the part within.

        Args:
            rate: Mean EL with so many continuations, 0 to 1, exclusive.
            count: Number of continuations per prompt.
        """
        total = self.total(count)
        same = _both_above(rate, self.own / total)
        apart = _both_above(rate, self.cross / total)
        together = _both_above(rate, (self.cross + self.cross_error / count) / total)
        variance = (rate + together) / 2 - rate**2
        return variance, (rate - same + together - apart) / 2


def _both_above(rate: float, correlation: float) -> float:
    """Probability that two normal variables are both above 0 if each is with ``rate`` (Owen 1956).

    Args:
        rate: 0 to 1, exclusive.
        correlation: Their correlation, -1 to 1.
    """
    from scipy import special

    correlation = min(max(correlation, -1 + 1e-9), 1.0)
    slope = math.sqrt((1 - correlation) / (1 + correlation))
    return rate - 2 * float(special.owens_t(special.ndtri(rate), slope))


@dataclass(frozen=True)
class Scatter:
    """The variance of the value of a control.

    Attributes:
        rate: The rate, 0 to 1, exclusive.
        controls: Number of controls that it was measured on.
        generations: Continuations per prompt that it was measured with.
        variance: Variance of a control's value with so many continuations.
        within: The part of it that another draw of the continuations would change; ``None`` if
            unknown.
        curve: How it depends on the number of continuations.
        kept: Share of the continuations that count.
        how: Where this is from, in words.
    """

    rate: float
    controls: int
    generations: int
    variance: float
    within: float | None
    curve: Averages | Probit = Averages()
    kept: float = 1.0
    how: str = ""

    @property
    def share(self) -> float | None:
        """Share of the variance that lies within, 0 to 1; ``None`` if unknown."""
        return None if self.within is None else self.within / self.variance

    def rate_with(self, generations: int) -> float:
        """The rate that so many continuations per prompt would give."""
        if not isinstance(self.curve, Probit):
            return self.rate
        from scipy import special

        ratio = self.curve.total(self.generations) / self.curve.total(generations)
        return float(special.ndtr(special.ndtri(self.rate) * math.sqrt(ratio)))

    def variance_with(self, generations: int) -> float:
        """The variance with so many continuations per prompt; unchanged if the parts are unknown.

        Args:
            generations: Number of continuations per prompt.
        """
        if self.within is None:
            return self.variance
        if isinstance(self.curve, Probit):
            now, _ = self.curve.variances(self.rate, self.generations)
            then, _ = self.curve.variances(self.rate_with(generations), generations)
            return self.variance * then / now
        return self.variance - self.within + self.within_with(generations)

    def within_with(self, generations: int) -> float:
        """The part within with so many continuations per prompt.

        Raises:
            ReportError: It is unknown.
        """
        if self.within is None:
            raise ReportError("how continuations of one prompt differ is unknown here")
        if isinstance(self.curve, Probit):
            _, now = self.curve.variances(self.rate, self.generations)
            _, then = self.curve.variances(self.rate_with(generations), generations)
        else:
            now, then = (self.curve(k * self.kept) for k in (self.generations, generations))
        return self.within * then / now

    def narrowed(self, controls: int = 0, generations: int = 0) -> float:
        """Share by which the interval becomes narrower with more controls or continuations.

        Args:
            controls: Number of further controls.
            generations: Number of further continuations per prompt.
        """
        from exleak.rates import CONFIDENCE, quantile

        def width(count: int, variance: float) -> float:
            return quantile((1 + CONFIDENCE) / 2, count - 1) * math.sqrt(variance / count)

        more = self.variance_with(self.generations + generations)
        return 1 - width(self.controls + controls, more) / width(self.controls, self.variance)


def of_pairs(pairs: Sequence[Pair], metric: Metric, generations: int) -> Scatter:
    """The scatter of a measured rate, with its parts.

    Args:
        pairs: The pairs of a generations file, with the scores of every continuation.
        metric: The rate.
        generations: Continuations per prompt.

    Raises:
        ReportError: The rate is undefined, or too few continuations are left to tell the parts.
    """
    how = "from the scores of every continuation"
    if metric == "rate":
        leaking = [pair for pair in pairs if pair.condition in LEAKING_CONDITIONS]
        return _of_threshold(expression(pairs), leaking, generations, how)
    kept = 1.0
    if metric == "residual":
        found = residual(pairs)
        rate, kept = found.directional, found.kept or 0.0
        pairs = [_without_restatements(pair) for pair in pairs if pair.test_carries_any is not None]
    else:
        rate = expression(pairs).directional
    arms = [(_valences(up), _valences(down)) for up, down in opposites(pairs).values()]
    arms = [pair for pair in arms if min(map(len, pair)) >= 2]
    value, count, variance = _total(rate, rate.n)
    if not arms:
        raise ReportError("one continuation per prompt does not show how continuations differ")
    parts = [_u_parts(*pair) for pair in arms]
    within = sum(part[0] for part in parts) / len(parts)
    first, second = (max(0.0, sum(part[i] for part in parts) / len(parts)) for i in (1, 2))
    return Scatter(
        value, count, generations, variance, min(max(within, 0.0), variance),
        Averages(first, second) if first + second else Averages(), kept, how,
    )  # fmt: skip


def _without_restatements(pair: Pair) -> Pair:
    from dataclasses import replace

    assert pair.test_carries_any is not None
    return replace(pair, test=pair.test[~pair.test_carries_any])


def _valences(pairs: Sequence[Pair]) -> Array:
    import numpy as np

    return np.concatenate([valence(pair.test) for pair in pairs])


def _total(rate: Rate, controls: int) -> tuple[float, int, float]:
    """The rate, the number of its controls, and the variance of a control's value.

    Raises:
        ReportError: There is no such variance.
    """
    if rate.rate is None or not rate.standard_error or not 0 < rate.rate < 1:
        raise ReportError(
            "the rate does not vary over controls here, or is undefined: nothing can be planned by "
            "it; plan without --report, by typical values"
        )
    return rate.rate, controls, rate.standard_error**2 * controls


def _u_parts(one: Array, other: Array) -> tuple[float, float, float]:
    """The variance within of a directional value, and its coefficients of 1/k and 1/k**2.

    Args:
        one, other: Valences after the positive and the negative sentence, shapes (m,) and (n,).
    """
    import numpy as np

    above = (np.sign(np.round(one[:, None] - other[None, :], DECIMALS)) + 1) / 2
    m, n = above.shape
    squares = float((above**2).sum())
    rows, columns = (float((above.sum(axis=axis) ** 2).sum()) for axis in (1, 0))
    apart = (above.sum() ** 2 - rows - columns + squares) / (m * (m - 1) * n * (n - 1))
    by_row = (rows - squares) / (m * n * (n - 1)) - apart
    by_column = (columns - squares) / (m * (m - 1) * n) - apart
    both = squares / (m * n) - apart
    within = ((n - 1) * by_row + (m - 1) * by_column + both) / (m * n)
    return float(within), float(by_row + by_column), float(both - by_row - by_column)


def _of_threshold(rate: Rate, pairs: Sequence[Pair], generations: int, how: str) -> Scatter:
    """The scatter of the paper's rate."""
    controls: dict[str, dict[str, Pair]] = {}
    for pair in pairs:
        controls.setdefault(pair.control, {})[pair.condition] = pair
    value, count, variance = _total(rate, len({pair.cluster for pair in pairs}))
    both = [tuple(each.values()) for each in controls.values() if len(each) == 2]
    both = [each for each in both if all(len(pair.test) >= 2 for pair in each)]
    both = [each for each in both if len(each[0].reference) >= 2]
    if len(both) < 2:
        raise ReportError("one continuation per prompt does not show how continuations differ")
    curve = _probit(both, generations)
    if not curve.total(generations):
        return Scatter(value, count, generations, variance, None, how=how)
    modelled, within = curve.variances(value, generations)
    return Scatter(
        value, count, generations, variance, max(0.0, variance * within / modelled), curve, how=how
    )


def _probit(both: Sequence[tuple[Pair, ...]], generations: int) -> Probit:
    """Moments of the differences of the two pairs of each control.

    Args:
        both: The positive and the negative pair of each control.
        generations: Continuations per prompt.
    """
    import numpy as np

    differences = np.array([[pair.difference for pair in each] for each in both])
    observed = np.cov(differences.T)
    errors = np.zeros((2, 2))
    for each in both:
        columns = [pair.column for pair in each]
        errors += np.cov(each[0].reference[:, columns].T) / len(each[0].reference)
        for place, pair in enumerate(each):
            errors[place, place] += pair.test[:, pair.column].var(ddof=1) / len(pair.test)
    errors /= len(both)
    own_error, cross_error = float(errors.trace()) / 2, float(errors[0, 1])
    own = max(0.0, float(observed.trace()) / 2 - own_error)
    cross = min(max(float(observed[0, 1]) - cross_error, -own), own)
    return Probit(own, cross, own_error * generations, cross_error * generations)


def of_report(measurement: Measurement, metric: Metric) -> Scatter:
    """The scatter of a measured rate as far as a report tells.

    A report has no scores of single continuations. The part within of directional values is
    estimated from the values alone, by the variance of a Mann-Whitney statistic of exponential
    distributions (Hanley and McNeil 1982); of EL it is not known.

    Args:
        measurement: A measurement from a report.
        metric: The rate.

    Raises:
        ReportError: The rate is undefined.
    """
    generations = int(measurement.generations["per_prompt"])
    if metric == "rate":
        controls = len({pair.control for pair in measurement.pairs})
        value, count, variance = _total(measurement.expression, controls)
        how = "from the report; its generations file tells more"
        return Scatter(value, count, generations, variance, None, how=how)
    rate, values, kept = measurement.expression.directional, measurement.by_control, 1.0
    if metric == "residual":
        found = measurement.expression.residual
        rate = found.directional if found else Rate(None, 0)
        values, kept = measurement.residual_by_control, (found and found.kept) or 0.0
    value, count, variance = _total(rate, rate.n)
    left = max(generations * kept, 1.5)
    within = sum(_mann_whitney(each, left) for each in values.values()) / len(values)
    within *= left / (left - 1)  # values that scatter lie nearer to 0 and 1 than the true ones
    how = "estimated from the report; its generations file tells more"
    return Scatter(
        value, count, generations, variance, min(within, variance), Averages(), kept, how
    )


def _mann_whitney(value: float, count: float) -> float:
    """Variance of a Mann-Whitney statistic of two samples of a size, given its expectation."""
    one, other = value / (2 - value), 2 * value**2 / (1 + value)
    return (value * (1 - value) + (count - 1) * (one + other - 2 * value**2)) / count**2
