"""Formatting of numbers and texts in reports.

Model output is untrusted input, so it is shown with control characters replaced.
"""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str, width: int = 100) -> str:
    """A text on one line, shortened to ``width``, with unprintable characters replaced."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def tail(text: str, width: int) -> str:
    """The end of a text, which is the part of a path that distinguishes checkpoints."""
    return text if len(text) <= width else "…" + text[1 - width :]


def number(value: float | None, digits: int = 3) -> str:
    """A rate, or a dash if it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"


def signed(value: float | None) -> str:
    """A difference of rates with its sign, or a dash if it is undefined."""
    return "-" if value is None else f"{value:+.3f}"


def change(value: float | None) -> str:
    """A difference as :func:`signed` shows it, or ``same``."""
    return "same" if value == 0 else signed(value)


def value(value: object) -> str:
    """A rate as :func:`number` shows it, a count or a text as it is, or a dash."""
    return number(value) if value is None or isinstance(value, float) else str(value)


def interval(value: Sequence[float] | None) -> str:
    """An interval, or a dash if it is undefined."""
    return "-" if value is None else f"{value[0]:.2f} to {value[1]:.2f}"


def p_value(value: float | None) -> str:
    """A p-value with two or three digits, or a dash if it is undefined."""
    return "-" if value is None else f"{value:.1e}" if value < 0.001 else f"{value:.3f}"
