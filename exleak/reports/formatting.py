"""Numbers and texts as reports show them.

Model output is shown with control characters and markup removed: it is hostile input.
"""

from __future__ import annotations

from collections.abc import Sequence


def printable(text: str, width: int = 100) -> str:
    """One line of a text without anything a terminal would obey."""
    safe = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return safe if len(safe) <= width else safe[: width - 1] + "…"


def tail(text: str, width: int) -> str:
    """The end of a text: the part of a path that tells checkpoints apart."""
    return text if len(text) <= width else "…" + text[1 - width :]


def number(value: float | None, digits: int = 3) -> str:
    """A rate, or a dash when it is undefined."""
    return "-" if value is None else f"{value:.{digits}f}"


def interval(value: Sequence[float] | None) -> str:
    """An interval, or a dash when it is undefined."""
    return "-" if value is None else f"{value[0]:.2f} to {value[1]:.2f}"


def p_value(value: float | None) -> str:
    """A p-value with two digits, or a dash when it is undefined."""
    return "-" if value is None else f"{value:.1e}" if value < 0.001 else f"{value:.3f}"
