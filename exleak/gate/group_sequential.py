"""Group-sequential looks: the limit rule applied to more and more controls at one error rate.

Looking at the data several times, and stopping at the first decision, multiplies the errors of a
fixed test: four looks at 1% each are wrong in 2 to 3% of runs. A group-sequential design gives each
look a stricter level, so that all looks together keep the error rate.

*Alpha spending* (Lan and DeMets 1983): by the time that a share t of the controls is in, at most
``alpha * t**4`` may have been spent (the power family of Kim and DeMets 1987). Early looks stop
clear cases, and the last one is nearly the fixed test. The bounds of O'Brien and Fleming (1979) are
the usual choice; their first look, at 3 in 10 million, decides next to nothing with rates, whose
tails are binomial. The bounds follow from the joint distribution of the looks' statistics
(Armitage, McPherson and Rowe 1969). They become confidence levels here, and the limit rule uses its
t and Wilson intervals at these (the nominal significance levels of Jennison and Turnbull 2000,
section 3.8). Each side of the rule keeps its own error rate, as if the other never stopped.

Looks are over controls, never over generations: μ_EL depends on K.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from exleak.errors import SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]

#: Shares of the controls at which an adaptive run looks.
SHARES = (0.25, 0.50, 0.75, 1.0)
#: Exponent of the spending function; a lower one stops earlier, and decides less at the end.
_POWER = 4
#: Nodes of the Gauss-Legendre rule; 64 and 512 give the same ten digits.
_NODES = 128
#: Standard deviations below 0 at which the distribution of a look is cut.
_CUT = 8.0
#: No bound is sought above this.
_HIGHEST = 30.0


@dataclass(frozen=True)
class Look:
    """One look at the controls that are in by then.

    Attributes:
        samples: Number of samples in by then.
        level: One-sided confidence level of its bounds.
    """

    samples: int
    level: float


def design(samples: int, level: float, *, adaptive: bool, further: int = 0) -> tuple[Look, ...]:
    """The looks of a run.

    An extension has half of the error rate, and the run before it the other half. So both together
    keep it, even if the further samples come from another dataset with another true rate.

    Args:
        samples: Number of samples of the run.
        level: One-sided confidence level of all looks together.
        adaptive: Whether the run looks at :data:`SHARES` of the samples, or once.
        further: Number of samples of the extension, 0 without one.

    Raises:
        SettingsError: No sample, or a level out of range.
    """
    if samples < 1 or not 0.5 < level < 1:
        raise SettingsError(
            f"looks need at least one sample and a level above 0.5 and below 1, not {samples} and "
            f"{level}"
        )
    alpha = (1 - level) / (2 if further else 1)
    shares = SHARES if adaptive else SHARES[-1:]
    stages = [[math.ceil(samples * share) for share in shares]]
    if further:
        stages.append([samples + math.ceil(further * share) for share in shares])
    looks = []
    for sizes in stages:
        distinct = list(dict.fromkeys(sizes))
        levels = nominal_levels(tuple(size / distinct[-1] for size in distinct), alpha)
        looks += [Look(size, level) for size, level in zip(distinct, levels, strict=True)]
    return tuple(looks)


@functools.cache
def nominal_levels(shares: tuple[float, ...], alpha: float) -> tuple[float, ...]:
    """The one-sided confidence level of each look, so that all keep one error rate.

    Args:
        shares: Share of all controls that is in at each look; increasing, the last is 1.
        alpha: One-sided error rate of all looks together.
    """
    from scipy import special

    spent = [alpha * share**_POWER for share in shares]
    return tuple(float(special.ndtr(bound)) for bound in z_bounds(shares, spent))


def z_bounds(shares: Sequence[float], spent: Sequence[float]) -> tuple[float, ...]:
    """The upper bound of the standardised statistic at each look.

    The statistic is a Brownian motion B(t) over the share t, divided by sqrt(t). Its density among
    the runs that have not stopped is carried from look to look on Gauss-Legendre nodes.

    Args:
        shares: As for :func:`nominal_levels`.
        spent: Probability to have crossed a bound by each look.
    """
    import numpy as np
    from scipy import special

    bounds = [-float(special.ndtri(spent[0]))]
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    places, density, time = np.zeros(1), np.ones(1), 0.0  # at time 0 the motion is at 0
    for number, (now, following) in enumerate(pairwise(shares)):
        low, high = -_CUT * math.sqrt(now), bounds[-1] * math.sqrt(now)
        inner = low + (nodes + 1) * (high - low) / 2
        step = math.sqrt(now - time)
        normal = np.exp(-(((inner[:, None] - places) / step) ** 2) / 2) / math.sqrt(2 * math.pi)
        density = (normal / step) @ density * weights * (high - low) / 2
        places, time = inner, now
        bounds.append(_bound(places, density, now, following, spent[number + 1] - spent[number]))
    return tuple(bounds)


def _bound(places: Array, density: Array, now: float, following: float, due: float) -> float:
    """The bound that so many of the runs cross first at the following look.

    Args:
        places, density: The motion now among the runs that have not stopped, as nodes and weighted
            densities, shape (nodes,).
        now, following: The shares of the controls at both looks.
        due: The probability to cross it.
    """
    from scipy import optimize, special

    scale, step = math.sqrt(following), math.sqrt(following - now)

    def excess(bound: float) -> float:
        return float(special.ndtr((places - bound * scale) / step) @ density) - due

    return float(optimize.brentq(excess, 0.0, _HIGHEST, xtol=1e-12))
