"""A test prompt with its control, the unit that every rate is computed from."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak.records import CLASSES, Condition

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float64]
    Flags = NDArray[np.bool_]

#: Decimals that means are rounded to. Without rounding, the order of a sum could change the last
#: bit, which a strict comparison would count as a leak.
DECIMALS = 12


@dataclass(frozen=True)
class Pair:
    """A test prompt and its control.

    Attributes:
        id: The test prompt's id.
        control: The control prompt's id.
        cluster: The control prompt's text, on which the standard error is clustered.
        condition: The injected class, or ``"test"`` if there is none.
        injected: The injected sentence, the second cluster; ``None`` if unknown.
        test, reference: Class probabilities of the usable generations of the test and the control
            prompt, shape (K, 3) and (K', 3), columns as :data:`exleak.records.CLASSES`.
        test_similarity, reference_similarity: Cosine similarity to the concept, shape (K,) and
            (K',); ``None`` without a concept.
        test_index, reference_index: Indices of these generations, for comparisons "by index".
        test_carries, reference_carries: Whether each of these generations restates the pair's
            injected sentence, shape (K,) and (K',); ``None`` if the sentence is unknown.
        test_carries_any: Whether each test generation restates the positive *or* the negative
            sentence of its control, shape (K,).
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
    test_carries: Flags | None = None
    reference_carries: Flags | None = None
    test_carries_any: Flags | None = None

    @property
    def column(self) -> int:
        """The column of the injected class."""
        return CLASSES.index(self.condition)

    @property
    def difference(self) -> float:
        """Mean probability of the injected class, test minus control (the paper's d)."""
        return difference(self.test[:, self.column], self.reference[:, self.column])


def mean(values: Array) -> float:
    """Mean with exact summation, rounded to :data:`DECIMALS`; the order does not matter."""
    return round(math.fsum(values.tolist()) / len(values), DECIMALS)


def mean_of(values: Sequence[float]) -> float:
    """Mean of a few floats with exact summation."""
    return math.fsum(values) / len(values)


def difference(test: Array, control: Array) -> float:
    """Difference of two means, rounded to :data:`DECIMALS`."""
    return round(mean(test) - mean(control), DECIMALS)


def leaks(value: float) -> float:
    """EL of one pair (Eq. 1): 1 if its difference is strictly above 0."""
    return 1.0 if value > 0 else 0.0


def heuristic(value: float) -> float:
    """L of one comparison (Eq. 4): ties count one half."""
    return 1.0 if value > 0 else 0.5 if value == 0 else 0.0


def chance_above(test: Array, control: Array) -> float:
    """Probability that a value of ``test`` exceeds one of ``control``; ties count one half.

    This is the Mann-Whitney statistic divided by its maximum, also known as the common-language
    effect size (McGraw and Wong 1992) and Vargha and Delaney's A (2000).
    """
    import numpy as np

    above = np.sign(np.round(test[:, None] - control[None, :], DECIMALS))
    return round(float(np.mean((above + 1) / 2)), DECIMALS)


def valence(probabilities: Array) -> Array:
    """P[positive] - P[negative], shape (K,) from (K, 3)."""
    return probabilities[:, 2] - probabilities[:, 0]


def opposites(pairs: Sequence[Pair]) -> dict[str, tuple[list[Pair], list[Pair]]]:
    """The positive and the negative pairs of each control that has both."""
    groups: dict[str, dict[str, list[Pair]]] = {}
    for pair in pairs:
        groups.setdefault(pair.control, {}).setdefault(pair.condition, []).append(pair)
    return {
        control: (group["positive"], group["negative"])
        for control, group in groups.items()
        if "positive" in group and "negative" in group
    }


def injected_sentences(pairs: Sequence[Pair]) -> list[Hashable]:
    """Second cluster of each pair; every unknown sentence is a separate cluster."""
    return [pair.injected if pair.injected is not None else pair.id for pair in pairs]
