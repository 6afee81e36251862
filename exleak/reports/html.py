"""The HTML report: one file for reading, searching and printing, without a network.

This module fills the template ``page/report.html``. Only the prompt table is built in the browser,
from data. Each number is a ``data`` element or an SVG text whose ``data-at`` is its place in the
JSON report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from exleak.notes import explained
from exleak.pages import render as render_page
from exleak.records import Continuation, Measurement
from exleak.reports import charts
from exleak.reports.columns import (
    KINDS,
    OUTCOMES,
    SERIES,
    Column,
    fact_rows,
    headline,
    lookup,
    outcome_of,
    rate_rows,
    series_mark,
    setting_rows,
)
from exleak.reports.formatting import interval, number, p_value, printable
from exleak.reports.layout import Layout
from exleak.reports.prompt_table import measurement_ids, prompt_data

if TYPE_CHECKING:
    from markupsafe import Markup

_TEMPLATE = Path(__file__).parent / "page" / "report.html"
_SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "unusable": "!", None: "·"}
_SERIES = tuple(name[:1].upper() + name[1:] for name, _, _ in SERIES)

Measurements = Sequence[Measurement]


class Number(NamedTuple):
    """A number with its place in the report; ``exact`` is ``None`` if it is undefined."""

    at: str
    shown: str
    exact: object


class Outcome(NamedTuple):
    """An outcome: a sign, a word, and the class that gives its colour."""

    sign: str
    word: str
    kind: str


class Link(NamedTuple):
    """A text that leads to an id on the page."""

    text: str
    to: str


#: A cell of a table.
Cell = str | Number | Outcome | Link
_OUTCOMES = {
    name: Outcome(_SIGNS[name], word, name or "reported") for name, word in OUTCOMES.items()
}


@dataclass(frozen=True)
class Details:
    """The folded details of one measurement."""

    id: str
    title: str
    outcome: str | None
    rates: list[tuple[Cell, ...]]
    facts: list[tuple[str, Number]]
    worst: list[dict[str, Any]]
    settings: list[tuple[str, str]]


def render(measurements: Measurements) -> str:
    """Render the page."""
    steps = [(i, measurement) for i, measurement in enumerate(measurements) if measurement.series]
    columns = Layout().columns_for(measurements)
    named = [*enumerate(zip(measurement_ids(measurements), measurements, strict=True))]
    return render_page(
        _TEMPLATE,
        prompt_data(measurements),
        shown=_shown,
        headline=headline(measurements),
        outcomes=_OUTCOMES,
        summary_head=("Model", "Dataset", *(column.title for column in columns), "Outcome"),
        summary=[_summary_row(i, *found, columns) for i, found in named],
        remarks=[(one, remark) for one in measurements for remark in explained(one)],
        steps_head=("Checkpoint", "Dataset", *_SERIES, "Alarm"),
        steps=[_step(i, measurement) for i, measurement in steps],
        rates=_svg(charts.rates(measurements)),
        conditions=_svg(charts.conditions(measurements)),
        decomposition=_svg(charts.decomposition(measurements)),
        differences=_svg(charts.differences(measurements)),
        rates_head=("Rate", "Value", "95% interval", "n", "p", "Ties"),
        details=[_details(i, *found) for i, found in named],
    )  # fmt: skip


def _shown(text: str) -> str:
    """A text with control characters, also those of writing direction, replaced."""
    return printable(" ".join(text.split()), 1000)


def _svg(found: Iterator[charts.Chart]) -> list[tuple[str, Markup]]:
    """Captions, and figures marked as safe markup."""
    from markupsafe import Markup

    return [(caption, Markup(figure)) for caption, figure in found]


def _number(at: str, shown: str, value: Any) -> Number:
    """A number, or both ends of an interval, as shown and in full precision."""
    ends = f"{value[0]} {value[1]}" if isinstance(value, (list, tuple)) else value
    return Number(at, shown, ends)


def _cell(i: int, column: Column, value: Any) -> Cell:
    shown = column.shown(value)
    return shown if isinstance(value, str) else _number(f"{i}.{column.place}", shown, value)


def _summary_row(
    i: int, anchor: str, found: Measurement, columns: Sequence[Column]
) -> tuple[Cell, ...]:
    cells = [_cell(i, column, lookup(found, column.place)) for column in columns]
    known = _OUTCOMES[found.verdict.outcome]
    outcome = known._replace(word=outcome_of(found))
    return (Link(found.label, anchor), found.dataset, *cells, outcome)


def _step(i: int, found: Measurement) -> tuple[Cell, ...]:
    worse = series_mark(found.series) if found.series else ""
    values = [(place, shown, lookup(found, place)) for _, place, shown in SERIES]
    numbers = [_number(f"{i}.{place}", shown(value), value) for place, shown, value in values]
    return (found.label, found.dataset, *numbers, worse or "no")


def _details(i: int, anchor: str, found: Measurement) -> Details:
    return Details(
        id=anchor,
        title=found.title,
        outcome=found.verdict.outcome,
        rates=[
            (
                name,
                _number(f"{i}.{place}.rate", number(rate.rate), rate.rate),
                _number(f"{i}.{place}.interval", interval(rate.interval), rate.interval),
                _number(f"{i}.{place}.n", str(rate.n), rate.n),
                _number(f"{i}.{place}.p_value", p_value(rate.p_value), rate.p_value),
                _number(f"{i}.{place}.ties", str(rate.ties), rate.ties),
            )
            for name, place, rate in rate_rows(found)
        ],
        facts=[
            (name, _number(f"{i}.{place}", text, value))
            for name, place, value, text in fact_rows(found)
        ],
        worst=[_worst(f"{i}.worst.{place}", item) for place, item in enumerate(found.worst)],
        settings=list(setting_rows(found)),
    )


def _worst(at: str, item: Continuation) -> dict[str, Any]:
    """Template data of a leaking continuation and one of its control."""
    with_it, without = item.probability, item.control_probability
    return {
        "of": item,
        "kind": KINDS[item.restates],
        "probability": _number(f"{at}.probability", number(with_it, 2), with_it),
        "control_probability": _number(f"{at}.control_probability", number(without, 2), without),
    }
