"""Checkpoints that arrive one after another: a rule whose error rate holds at every look.

:mod:`exleak.gate.series` compares the checkpoints of a finished training. If it were applied again
after each new checkpoint, its error rate would hold for each application alone, and after twenty
looks a false alarm would be likely. Here the error rate holds for all looks together, however many
come, and a decision is never taken back.

*Alpha spending* (Lan and DeMets 1983): look k, the comparison of the k-th later checkpoint with the
first, may spend ``alpha * 6 / (pi * k)**2``; over all looks this sums to alpha. What a look cannot
spend, because sign patterns are countable and sums tie, is left to the later ones.

*Joint sign flips* (max-T of Westfall and Young 1993, look by look): one fixed set of sign patterns
over the controls, the pattern without a flip among them, is applied to the differences of all
checkpoints alike. All differences share the first checkpoint, and the patterns keep that
dependence. The threshold of a look is the lowest for which the share of patterns that cross it, or
crossed an earlier one, is at most what may be spent by then. Ties cross together or not at all.

What this rests on: if nothing changed, flipping the signs of a control's differences in all
checkpoints together gives equally likely differences. At each single look that is so because the
two checkpoints may be exchanged (Fisher 1935). For several looks at once it holds if the rates of a
control scatter symmetrically, and otherwise in the limit of many controls, in which sums are
normal; `benchmarks/watch_series.py` tries skewed rates. The set of patterns is a random sample of
all, which keeps the rule exact because it holds the unflipped one (Hemerik and Goeman 2018).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exleak.errors import ComparisonError, SettingsError
from exleak.gate.comparison import BASELINE_ALPHA, all_signs, by_control, difference
from exleak.records import Compared, Measurement, Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Number of random sign patterns, besides the one without a flip; if no more than these exist, all
#: are used. Look 50 spends four millionths of alpha = .01: a third of a pattern.
PATTERNS = 99_999
#: Differences are rounded to this, so that sums are whole numbers: exact in any order of adding.
_UNIT = 1e-9
#: Patterns multiplied at once; bounds the memory of their copy as float64.
_CHUNK = 8_192


@dataclass(frozen=True)
class Look:
    """The comparison of one checkpoint with the first.

    Attributes:
        step: Rate, difference, and a p-value that is adjusted for all looks up to this one.
        is_marked: Whether it leaks more than the first; the adjusted p-value is at most alpha.
        can_mark: Whether differences of this size could have been marked, had they all pointed
            upwards. They could not if there are too few controls, too few of them differ, or alpha
            is too small for the number of patterns.
    """

    step: Step
    is_marked: bool = False
    can_mark: bool = True


def check_alpha(alpha: float) -> None:
    """Refuse an error rate that is none.

    Raises:
        SettingsError: It is not above 0 and below 1.
    """
    if not 0 < alpha < 1:
        raise SettingsError(f"alpha must be above 0 and below 1, not {alpha}")


class Spending:
    """Sign-flip tests of the same controls, one after another, at one error rate.

    Args:
        controls: Number of controls.
        alpha: Probability of any alarm, at any look, if nothing changes; above 0 and below 1.
        patterns: Number of random sign patterns.
        seed: Seed of the patterns; the same looks always get the same answers.

    Attributes:
        looks: Number of looks so far.

    Raises:
        SettingsError: An alpha out of range.
    """

    def __init__(
        self, controls: int, alpha: float, *, patterns: int = PATTERNS, seed: int = 0
    ) -> None:
        import numpy as np

        check_alpha(alpha)
        self.alpha, self.looks, self._share = alpha, 0, 0.0
        self._signs = _patterns(controls, patterns, seed)
        self._crossed = np.zeros(len(self._signs), dtype=bool)

    @property
    def crossed(self) -> int:
        """Number of sign patterns that crossed a threshold so far."""
        return int(self._crossed.sum())

    def look(self, deltas: NDArray[np.float64]) -> tuple[float, bool, bool]:
        """Test one-sidedly whether differences lie above 0.

        Args:
            deltas: One per control, shape (controls,); 0 for a control without one.

        Returns:
            The adjusted p-value: at most alpha if and only if this look alarms. Whether it
            alarms. Whether it could have alarmed with some signs; without any difference, whether
            a single pattern may cross.
        """
        import numpy as np

        self.looks += 1
        self._share += 6 / (math.pi * self.looks) ** 2
        units = np.rint(np.asarray(deltas, dtype=np.float64) / _UNIT)
        sums = self._sums(units)
        free = sums[~self._crossed]
        before = len(sums) - len(free)
        allowed = math.floor(self.alpha * self._share * len(sums))
        as_large = before + int(np.count_nonzero(free >= sums[0]))
        room = allowed - before
        crossing = ~self._crossed & (sums > _nth_largest(free, room))
        self._crossed |= crossing
        p_value = min(1.0, as_large / len(sums) / self._share)
        can_mark = bool(crossing.any()) if units.any() else room > 0
        return p_value, as_large <= allowed, can_mark

    def _sums(self, units: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of the differences under each pattern; the first is the observed one."""
        import numpy as np

        parts = range(0, len(self._signs), _CHUNK)
        return np.concatenate([self._signs[i : i + _CHUNK].astype(float) @ units for i in parts])


def _nth_largest(values: NDArray[np.float64], room: int) -> float:
    """The value above which at most ``room`` values lie."""
    import numpy as np

    if room <= 0 or not len(values):
        return math.inf
    place = len(values) - 1 - room
    return float(np.partition(values, place)[place]) if place >= 0 else -math.inf


def _patterns(controls: int, count: int, seed: int) -> NDArray[np.int8]:
    """Sign patterns, shape (patterns, controls); the first flips nothing."""
    import numpy as np

    if 2.0**controls <= count + 1:
        return all_signs(controls)[::-1]
    signs = np.random.default_rng(seed).integers(0, 2, (count + 1, controls), np.int8)
    signs *= 2
    signs -= 1
    signs[0] = 1
    return signs


class Series:
    """A series of checkpoints, each of which is compared with the first when it arrives.

    Args:
        first: The measurement that later ones are compared with.
        alpha: Probability that any checkpoint is marked, however many come, if nothing changes.
        metric: The rate to compare for each control.

    Attributes:
        start: The first checkpoint's entry of the series.

    Raises:
        ComparisonError: The first measurement has no control with the compared rate.
        SettingsError: An alpha out of range.
    """

    def __init__(
        self,
        first: Measurement,
        alpha: float = BASELINE_ALPHA,
        metric: Compared = "directional",
    ) -> None:
        self._first, self._metric = first, metric
        if reason := difference(first, first, metric):
            raise ComparisonError(f"no series begins with {first.model}: {reason}")
        self._values = by_control(first, metric)
        self._spending = Spending(len(self._values), alpha)
        self.start = Look(Step(first.model, first.model, _mean(self._values), 0.0, None, False,
                               metric))  # fmt: skip
        self._has_marked = False

    @property
    def controls(self) -> int:
        """Number of controls that are compared."""
        return len(self._values)

    def look(self, later: Measurement) -> Look:
        """Compare the next checkpoint with the first.

        A control that was not scored in it has no part in this look. Controls that the first lacks
        are left out.

        Raises:
            ComparisonError: Its settings differ, or it has no control in common; such a checkpoint
                is no look and spends nothing.
        """
        import numpy as np

        if reason := difference(self._first, later, self._metric):
            raise ComparisonError(f"not compared with {self._first.model}: {reason}")
        found = by_control(later, self._metric)
        shared = {key: found[key] for key in self._values if key in found}
        if not shared:
            raise ComparisonError(
                f"not compared with {self._first.model}: no control prompt was scored in both"
            )
        deltas = [shared[key] - first if key in shared else 0.0
                  for key, first in self._values.items()]  # fmt: skip
        p_value, is_marked, can_mark = self._spending.look(np.array(deltas))
        is_first = is_marked and not self._has_marked
        self._has_marked |= is_marked
        delta = math.fsum(deltas) / len(shared)
        step = Step(later.model, self._first.model, _mean(shared), delta, p_value, is_first,
                    self._metric)  # fmt: skip
        return Look(step, is_marked, can_mark)


def _mean(values: Any) -> float:
    return math.fsum(values.values()) / len(values)
