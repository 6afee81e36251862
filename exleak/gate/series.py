"""Series of checkpoints in training order: where did the leakage begin to increase?

Every checkpoint is compared with the first. Among many checkpoints one may look worse by chance,
so the p-values are adjusted for multiple tests: each sign pattern over the controls is applied to
all checkpoints, and each checkpoint's statistic is compared with the pattern's largest (Westfall
and Young 1993, single-step max-T).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from exleak.errors import ComparisonError
from exleak.gate.comparison import BASELINE_ALPHA, FLIPS, by_control, difference
from exleak.records import Compared, Measurement, Step


def series(
    measurements: Sequence[Measurement],
    alpha: float = BASELINE_ALPHA,
    metric: Compared = "directional",
) -> tuple[Step, ...]:
    """Compare checkpoints with the first of them.

    Args:
        measurements: Measurements in training order.
        alpha: Family-wise error rate: the probability of any alarm if nothing changes.
        metric: The rate to compare for each control.

    Raises:
        ComparisonError: The measurements' settings differ.
    """
    import numpy as np

    first, *later = measurements
    for other in later:
        if reason := difference(first, other, metric):
            raise ComparisonError(f"no series: {other.model} and {first.model}: {reason}")
    values_of = [by_control(measurement, metric) for measurement in measurements]
    shared = [key for key in values_of[0] if all(key in other for other in values_of)]
    if not shared:
        raise ComparisonError("no series: the checkpoints have no control prompt in common")
    values = np.array([[by_key[key] for key in shared] for by_key in values_of])
    deltas = values[1:] - values[0]
    p_values = _max_t(deltas)
    worse = next((i for i, p in enumerate(p_values) if p <= alpha), None)
    rates, names = values.mean(axis=1), [m.model for m in measurements]
    steps = [Step(names[0], names[0], float(rates[0]), 0.0, None, metric=metric)]
    for number, p_value in enumerate(p_values):
        rate = float(rates[number + 1])
        delta = float(deltas[number].mean())
        steps.append(
            Step(names[number + 1], names[0], rate, delta, p_value, number == worse, metric)
        )
    return tuple(steps)


def _max_t(deltas: Any, seed: int = 0) -> list[float]:
    """Adjusted one-sided p-values; deltas have shape (checkpoints, controls)."""
    import numpy as np

    if not len(deltas):
        return []
    spread = np.sqrt((deltas**2).sum(axis=1, keepdims=True))
    scaled = np.divide(deltas, spread, out=np.zeros_like(deltas), where=spread > 0)
    signs = np.random.default_rng(seed).integers(0, 2, (FLIPS, deltas.shape[1]), np.int8) * 2 - 1
    largest = (signs @ scaled.T).max(axis=1)
    observed = scaled.sum(axis=1)
    return [float((1 + np.sum(largest >= t - 1e-9)) / (FLIPS + 1)) for t in observed]
