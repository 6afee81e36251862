"""The columns of the summary: one list for the terminal, Markdown, HTML and LaTeX."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from exleak.reports.tables import lookup
from exleak.reports.text import interval, number, p_value


@dataclass(frozen=True)
class Column:
    """A column of the summary.

    Attributes:
        heading: What stands above it.
        place: Where its value is in a measurement, as for :func:`exleak.reports.tables.lookup`.
        shown: Turns the value into text.
        latex: The heading for LaTeX, where it is another.
    """

    heading: str
    place: str
    shown: Callable[[Any], str]
    latex: str | None = None


def _limit(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"


SUMMARY: tuple[Column, ...] = (
    Column("μ_EL", "expression.rate", number, r"$\mu_{EL}$"),
    Column("95% interval", "expression.interval", interval, r"95\% interval"),
    Column("W_EL", "expression.p_value", p_value, r"$W_{EL}$"),
    Column("directional", "expression.directional.rate", number),
    Column("carry-over", "expression.carry_over.share.rate", number),
    Column("residual", "expression.residual.directional.rate", number),
    Column("μ_L", "semantic.instance.rate", number, r"$\mu_L$"),
    Column("limit", "verdict.limit", _limit),
)


def cells(measurement: dict[str, Any]) -> Iterator[str]:
    """The texts of :data:`SUMMARY` for one measurement."""
    return (column.shown(lookup(measurement, column.place)) for column in SUMMARY)
