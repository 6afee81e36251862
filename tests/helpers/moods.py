"""Moods of continuations from normal distributions, whose variances are known."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from exleak.rates import Pair
from exleak.records import Condition

Array = NDArray[np.float64]
#: Moods of the control, positive and negative prompt of each control, each (controls, K).
Moods = tuple[Array, Array, Array]


class Controls:
    """Controls after which a model leaks more or less.

    Args:
        count: Their number.
        shift: Mean rise of the mood after a positive sentence, and fall after a negative one.
        between: Its standard deviation between controls.
        within: Standard deviation of the moods of one prompt's continuations.
    """

    def __init__(
        self, count: int, shift: float = 0.25, between: float = 0.2, within: float = 0.5,
        seed: int = 0,
    ) -> None:  # fmt: skip
        self.within, self.generator = within, np.random.default_rng(seed)
        self.shifts = shift + self.generator.normal(0, between, (count, 1))
        self.centres = self.generator.normal(0, 0.3, (count, 1))

    def draw(self, generations: int, more: float = 0.0) -> Moods:
        """So many continuations of every prompt; ``more`` is added to every control's shift."""
        shifts = self.shifts + more
        control, up, down = (
            self.centres
            + move
            + self.generator.normal(0, self.within, (len(self.shifts), generations))
            for move in (0 * shifts, shifts, -shifts)
        )
        return control, up, down


def el(moods: Moods) -> Array:
    """EL of each pair, shape (controls, 2)."""
    control, up, down = (each.mean(axis=1) for each in moods)
    return np.stack([up > control, down < control], axis=1).astype(float)


def directional(moods: Moods) -> Array:
    """Directional value of each control, shape (controls,)."""
    return np.asarray((moods[1][:, :, None] > moods[2][:, None, :]).mean(axis=(1, 2)))


def pairs(moods: Moods) -> list[Pair]:
    """The pairs of a measurement with these moods."""
    control, up, down = map(_probabilities, moods)
    tests: tuple[tuple[Condition, Array], ...] = (("positive", up), ("negative", down))
    return [
        Pair(
            f"{number}:{condition}", str(number), str(number), condition, f"{number}{condition}",
            test[number], control[number],
        )
        for number in range(len(control))
        for condition, test in tests
    ]  # fmt: skip


def _probabilities(moods: Array) -> Array:
    high = 1 / (1 + np.exp(-moods))
    return np.stack([1 - high, np.zeros_like(high), high], axis=-1)
