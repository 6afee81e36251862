"""A measurement as flat numbers, for the loggers of a training loop."""

from __future__ import annotations

import math
from collections.abc import Iterator

from exleak.records import Measurement

#: Every metric, without its prefix. Higher is worse for all but ``seconds``.
METRICS = (
    "rate", "rate_low", "rate_high", "directional", "residual", "carry_over", "semantic",
    "increase", "unusable", "failed", "inconclusive", "seconds",
)  # fmt: skip


def flat(
    measurement: Measurement,
    prefix: str = "eval_leakage",
    *,
    increase: float | None = None,
    seconds: float | None = None,
) -> dict[str, float]:
    """The rates and the verdict of a measurement as floats; undefined ones are left out.

    Args:
        measurement: The measurement.
        prefix: Prefix of each key, joined by an underscore.
        increase: Increase of the directional rate over the start of the training.
        seconds: How long the measurement took.

    Returns:
        ``rate`` is μ_EL with its 95% interval ``rate_low`` to ``rate_high``; ``directional``, the
        directional rate, ``residual`` that of the continuations that restate nothing;
        ``carry_over`` the share that restates the injected sentence; ``semantic`` μ_L; ``unusable``
        the share of continuations that could not be scored; ``failed`` (also for an unusable
        measurement) and ``inconclusive`` are 0 or 1.
    """
    found = {
        name: value
        for name, value in (*_rates(measurement), ("increase", increase), ("seconds", seconds))
        if value is not None and math.isfinite(value)
    }
    return {f"{prefix}_{name}": float(found[name]) for name in METRICS if name in found}


def _rates(measurement: Measurement) -> Iterator[tuple[str, float | None]]:
    expression, counts = measurement.expression, measurement.generations
    yield "rate", expression.rate
    if expression.interval is not None:
        yield "rate_low", expression.interval[0]
        yield "rate_high", expression.interval[1]
    yield "directional", expression.directional.rate
    yield "residual", expression.residual.directional.rate if expression.residual else None
    yield "carry_over", expression.carry_over.share.rate if expression.carry_over else None
    yield "semantic", measurement.semantic.paired.rate
    yield "unusable", counts["unusable"] / counts["total"] if counts["total"] else None
    outcome = measurement.verdict.outcome
    yield "failed", float(outcome in ("fail", "unusable"))
    yield "inconclusive", float(outcome == "inconclusive")
