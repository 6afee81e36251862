"""What a marked checkpoint means: whether mood leaks more than before, or text is echoed more."""

from __future__ import annotations

from exleak.errors import ComparisonError
from exleak.gate.comparison import BASELINE_ALPHA, compare
from exleak.gate.limits import METRICS
from exleak.gate.sequential import Look
from exleak.records import CarryOver, Measurement
from exleak.reports.formatting import number, p_value


def how_far(look: Look, alpha: float) -> str:
    """The increase that marked a checkpoint, in words."""
    step = look.step
    return (
        f"{METRICS[step.metric]} {number(step.rate)}, {step.delta:+.3f} over {step.start} "
        f"(p = {p_value(step.p_value)}, adjusted for all looks so far, at most {alpha:g})"
    )


def mood_or_echo(first: Measurement, later: Measurement) -> str:
    """Whether the increase is one of mood or of echo, in words.

    It is of mood if the directional rate of the continuations that restate nothing rose as well
    (sign-flip test at :data:`BASELINE_ALPHA`); of echo if it did not and restatements became more
    frequent, beyond the 95% interval.
    """
    try:
        rest = compare(later, [first], metric="residual")
    except ComparisonError as error:
        return f"mood or echo: cannot be told; {error}{_echo(first, later)}"
    change = f"{rest.delta:+.3f}, p = {p_value(rest.p_value)}"
    if rest.p_value <= BASELINE_ALPHA:
        return (
            "mood: the directional rate of the continuations that restate nothing rose too "
            f"({change}){_echo(first, later)}"
        )
    if _restates_more(first.expression.carry_over, later.expression.carry_over):
        return (
            f"echo: no rise is seen among the continuations that restate nothing ({change})"
            f"{_echo(first, later)}"
        )
    return (
        "mood or echo: cannot be told; among the continuations that restate nothing a rise is not "
        f"seen ({change}), and restatements are not clearly more frequent{_echo(first, later)}"
    )


def _restates_more(first: CarryOver | None, later: CarryOver | None) -> bool:
    if first is None or later is None or later.share.interval is None:
        return False
    return first.share.rate is not None and later.share.interval[0] > first.share.rate


def _echo(first: Measurement, later: Measurement) -> str:
    carried = [found.expression.carry_over for found in (first, later)]
    shares = [number(one.share.rate, 2) if one else "-" for one in carried]
    return f"; carry-over {shares[1]}, {shares[0]} in {first.model}"
