"""What a run can tell: its power against a limit and against a baseline.

A measured rate scatters about the true one by the standard deviation of a control's value, divided
by the root of the number of controls. That deviation shrinks towards rates of 0 and 1 as that of a
share does, so it is carried from one rate to another by its ratio to ``sqrt(rate * (1 - rate))``.
A run fails if the measured rate is so high that the gate's own lower bound lies above the limit:
:func:`exleak.rates.intervals.interval_around` is solved for that rate. The normal approximation is
compared with simulations of the gate in tests and by ``python benchmarks/plan.py --power``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from exleak.gate.comparison import BASELINE_ALPHA, POWER
from exleak.gate.limits import Metric
from exleak.planning.scatter import Scatter
from exleak.rates import LEVEL, quantile
from exleak.rates.intervals import interval_around

#: Largest number of controls that is looked for.
MOST_CONTROLS = 20_000
_TINY = 1e-6
_HALVINGS = 40


@dataclass(frozen=True)
class Limited:
    """Shares of runs by outcome of the limit rule, 0 to 1, for one true rate."""

    fails: float
    passes: float

    @property
    def inconclusive(self) -> float:
        """Share of runs that cannot tell the rate from the limit."""
        return max(0.0, 1 - self.fails - self.passes)

    @property
    def is_told(self) -> bool:
        """Whether 90% of runs tell the rate from the limit, on the same side."""
        return max(self.fails, self.passes) >= POWER


def against_limit(
    rate: float, limit: float, scatter: Scatter, controls: int, generations: int,
    level: float = LEVEL,
) -> Limited:  # fmt: skip
    """How often a model of this true rate fails and passes a limit.

    Args:
        rate: The true rate, 0 to 1; that of the run, with its number of continuations.
        limit: Highest rate allowed, 0 to 1.
        scatter: How values of controls vary.
        controls: Number of controls.
        generations: Continuations per prompt.
        level: One-sided confidence level of the bounds.
    """
    relative = _relative(scatter, generations)
    rate = min(max(rate, _TINY), 1 - _TINY)
    low, high = _thresholds(limit, relative, controls, level)
    error = _error(rate, relative, controls)
    return Limited(_below((rate - high) / error, controls), _below((low - rate) / error, controls))


def fails_from(
    limit: float, scatter: Scatter, controls: int, generations: int, level: float = LEVEL
) -> float | None:
    """The lowest true rate that fails a limit in 90% of runs; ``None`` if none does."""

    def fails(rate: float) -> bool:
        return against_limit(rate, limit, scatter, controls, generations, level).fails >= POWER

    return _first(fails, limit, 1 - _TINY)


def passes_up_to(
    limit: float, scatter: Scatter, controls: int, generations: int, level: float = LEVEL
) -> float | None:
    """The highest true rate that passes a limit in 90% of runs; ``None`` if none does."""

    def passes(rate: float) -> bool:
        return against_limit(rate, limit, scatter, controls, generations, level).passes >= POWER

    return _first(passes, limit, _TINY)


def controls_needed(
    rate: float, limit: float, scatter: Scatter, generations: int, level: float = LEVEL
) -> int | None:
    """Number of controls with which 90% of runs tell a true rate from a limit.

    ``None`` if even :data:`MOST_CONTROLS` are too few.
    """

    def enough(controls: int) -> bool:
        return against_limit(rate, limit, scatter, controls, generations, level).is_told

    if not enough(MOST_CONTROLS):
        return None
    low, high = 2, MOST_CONTROLS
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle + 1, high)
    return low


def detectable_increase(
    scatter: Scatter, controls: int, generations: int, margin: float = 0.0
) -> float | None:
    """The smallest increase over a baseline of one run that fails in 90% of runs.

    Both runs have the same controls, so what lies between these cancels as far as all of them move
    alike; what continuations scatter counts twice. ``None`` if that part is unknown, or if the
    controls are too few for any increase to be significant.
    """
    if scatter.within is None or 2.0**-controls > BASELINE_ALPHA:
        return None
    error = math.sqrt(2 * scatter.within_with(generations) / controls)
    needed = max(margin, quantile(1 - BASELINE_ALPHA, controls - 1) * error)
    return needed + quantile(POWER, controls - 1) * error


def _relative(scatter: Scatter, generations: int) -> float:
    """Variance of a control's value, divided by that of a share of the same size."""
    rate = scatter.rate_with(generations)
    return scatter.variance_with(generations) / (rate * (1 - rate))


def _error(rate: float, relative: float, controls: int) -> float:
    return math.sqrt(relative * rate * (1 - rate) / controls)


def _thresholds(limit: float, relative: float, controls: int, level: float) -> tuple[float, float]:
    """The measured rates up to which a run passes, and from which it fails."""

    def bounds(rate: float) -> tuple[float, float]:
        return interval_around(rate, _error(rate, relative, controls), controls, level)

    passing = _first(lambda rate: bounds(rate)[1] <= limit, limit, _TINY)
    failing = _first(lambda rate: bounds(rate)[0] > limit, limit, 1 - _TINY)
    # Where none does, a rate that no run measures.
    return -math.inf if passing is None else passing, math.inf if failing is None else failing


def _first(holds: Callable[[float], bool], near: float, far: float) -> float | None:
    """The value nearest to ``near`` for which something holds that holds from there to ``far``."""
    if not holds(far):
        return None
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        near, far = (near, middle) if holds(middle) else (middle, far)
    return far


def _below(deviations: float, controls: int) -> float:
    from scipy import special

    return float(special.stdtr(max(1, controls - 1), deviations))


#: Rate, variance of a control's value and the part of it within, with ten continuations
#: (docs/decisions.md says what was measured).
_TYPICAL: dict[Metric, tuple[float, float, float]] = {
    "rate": (0.75, 0.10, 0.06),
    "directional": (0.70, 0.042, 0.014),
    "residual": (0.60, 0.06, 0.04),
}
_TYPICAL_GENERATIONS, _TYPICAL_CONTROLS = 10, 60


def typical(metric: Metric) -> Scatter:
    """The scatter that is assumed where no run is known.

    That of EL is taken as the same for any number of continuations.
    """
    rate, variance, within = _TYPICAL[metric]
    known = None if metric == "rate" else within
    how = "typical for HEXL; --report FILE has that of your model"
    return Scatter(rate, _TYPICAL_CONTROLS, _TYPICAL_GENERATIONS, variance, known, how=how)
