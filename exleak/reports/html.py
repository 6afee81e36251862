"""The report as a page: one HTML file for reading, searching and printing, without a network.

Summary, figures and details are written here; only the table of prompts is made in the browser,
from data. Each number is a ``data`` element, or an SVG text, whose ``data-at`` tells its place in
the JSON report.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from exleak.pages import embedded, fill
from exleak.records import Measurement
from exleak.reports import charts
from exleak.reports.columns import (
    HEADINGS,
    KINDS,
    OUTCOMES,
    SERIES,
    SUMMARY,
    Column,
    fact_rows,
    headline,
    lookup,
    rate_rows,
    series_mark,
    setting_rows,
)
from exleak.reports.formatting import interval, number, p_value, printable
from exleak.reports.prompt_table import prompt_data

_TEMPLATE = Path(__file__).parent / "page" / "report.html"
_SIGNS = {"pass": "✓", "fail": "✗", "inconclusive": "?", "unusable": "!", None: "·"}
_SUMMARY = ("Model", "Dataset", *HEADINGS, "Outcome")

Measurements = Sequence[Measurement]


def render(measurements: Measurements) -> str:
    """The page."""
    content = {
        "headline": _text(headline(measurements)),
        "outcomes": ", ".join(
            f"<span>{_text(part)}</span>" for part in headline(measurements).split(", ")
        ),
        "summary": "".join(_summary(measurements)),
        "rates": "".join(map(_card, charts.rates(measurements))),
        "conditions": "".join(map(_card, charts.conditions(measurements))),
        "decomposition": "".join(map(_card, charts.decomposition(measurements))),
        "differences": "".join(map(_card, charts.differences(measurements))),
        "details": "".join(_details(i, found) for i, found in enumerate(measurements)),
        "data": embedded(prompt_data(measurements)),
    }
    return fill(_TEMPLATE, content)


def _text(text: object, width: int = 1000) -> str:
    """A text as HTML; whatever a terminal or the direction of writing would obey is replaced."""
    return escape(printable(" ".join(str(text).split()), width))


def _number(at: str, shown: str, value: object) -> str:
    """A number with its place in the report."""
    if value is None:
        return '<span class="undefined">–</span>'
    return f'<data data-at="{escape(at)}" value="{escape(str(value))}">{escape(shown)}</data>'


def _value(index: int, found: Measurement, place: str, digits: int = 3) -> str:
    value = lookup(found, place)
    return _number(f"{index}.{place}", number(value, digits), value)


def _interval(index: int, found: Measurement, place: str) -> str:
    value = lookup(found, place)
    return _number(f"{index}.{place}", interval(value), _exact(value))


def _exact(value: Any) -> Any:
    """A number, or both ends of an interval, with all digits."""
    return f"{value[0]} {value[1]}" if isinstance(value, (list, tuple)) else value


def _p_value(index: int, found: Measurement, place: str) -> str:
    value = lookup(found, place)
    return _number(f"{index}.{place}", p_value(value), value)


def _outcome(found: Measurement) -> str:
    outcome = found.verdict.outcome
    sign = f'<span aria-hidden="true">{_SIGNS[outcome]}</span>'
    return f'<span class="outcome {outcome or "reported"}">{sign} {OUTCOMES[outcome]}</span>'


def _table(caption: str, head: Sequence[str], rows: Iterator[Sequence[str]], kind: str = "") -> str:
    """A table that narrow screens show as cards; roles tell readers that it still is a table."""
    cells = "".join(f'<th role="columnheader" scope="col">{_text(name)}</th>' for name in head)
    body = []
    for row in rows:
        first, *rest = zip(head, row, strict=True)
        body.append(
            f'<tr role="row"><th role="rowheader" scope="row">{first[1]}</th>'
            + "".join(f'<td role="cell" data-label="{_text(n)}">{cell}</td>' for n, cell in rest)
            + "</tr>"
        )
    return (
        f'<table role="table" class="{kind}"><caption>{_text(caption)}</caption>'
        f'<thead role="rowgroup"><tr role="row">{cells}</tr></thead>'
        f'<tbody role="rowgroup">{"".join(body)}</tbody></table>'
    )


def _summary(measurements: Measurements) -> Iterator[str]:
    rows = (_summary_row(i, found) for i, found in enumerate(measurements))
    yield _table("Every measurement", _SUMMARY, rows, "summary")
    remarks = [
        f"<li>{_outcome(found)} <strong>{_text(found.title)}</strong>: {_text(remark)}</li>"
        for found in measurements
        for remark in [*found.verdict.reasons, *found.notes]
    ]
    if remarks:
        yield f'<h3>Why</h3><ul class="remarks">{"".join(remarks)}</ul>'
    steps = [(i, found) for i, found in enumerate(measurements) if found.series]
    if steps:
        columns = (name[:1].upper() + name[1:] for name, _, _ in SERIES)
        head = ("Checkpoint", "Dataset", *columns, "Alarm")
        rows = (_step(i, found) for i, found in steps)
        yield _table("Checkpoints against the first of them", head, rows)


def _step(i: int, found: Measurement) -> Sequence[str]:
    worse = (series_mark(found.series) if found.series else "") or "no"
    numbers = []
    for _, place, shown in SERIES:
        value = lookup(found, place)
        numbers.append(_number(f"{i}.{place}", shown(value), value))
    return (_text(found.label), _text(found.dataset), *numbers, worse)


def _summary_row(i: int, found: Measurement) -> Sequence[str]:
    return (
        _text(found.label),
        _text(found.dataset),
        *(_cell(i, found, column) for column in SUMMARY),
        _outcome(found),
    )


def _cell(index: int, found: Measurement, column: Column) -> str:
    value = lookup(found, column.place)
    return _number(f"{index}.{column.place}", column.shown(value), _exact(value))


def _card(chart: tuple[str, str]) -> str:
    caption, figure = chart
    return f"<figure><figcaption>{_text(caption)}</figcaption>{figure}</figure>"


def _details(index: int, found: Measurement) -> str:
    rates = _table(
        "Rates", ("Rate", "Value", "95% interval", "n", "p", "Ties"),
        (_rate_row(index, found, name, place) for name, place, _ in rate_rows(found)),
    )  # fmt: skip
    settings = "".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(value)}</dd></div>"
        for name, value in setting_rows(found)
    )
    facts = "".join(
        f"<div><dt>{_text(name)}</dt>"
        f"<dd>{_number(f'{index}.{place}', text, _exact(value))}</dd></div>"
        for name, place, value, text in fact_rows(found)
    )
    return (
        f"<details><summary>{_outcome(found)} {_text(found.title)}</summary>{rates}"
        f'<dl class="settings">{facts}</dl>'
        f"{_worst(index, found)}<h4>Settings and provenance</h4>"
        f'<dl class="settings">{settings}</dl></details>'
    )


def _rate_row(index: int, found: Measurement, name: str, place: str) -> Sequence[str]:
    return (
        _text(name),
        _value(index, found, f"{place}.rate"),
        _interval(index, found, f"{place}.interval"),
        _count(index, found, f"{place}.n"),
        _p_value(index, found, f"{place}.p_value"),
        _count(index, found, f"{place}.ties"),
    )


def _count(index: int, found: Measurement, place: str) -> str:
    value = lookup(found, place)
    return _number(f"{index}.{place}", str(value), value)


def _worst(index: int, found: Measurement) -> str:
    """The continuations that leak most, each beside one of its control."""
    items = []
    for place, item in enumerate(found.worst):
        at = f"{index}.worst.{place}"
        with_it, without = item.probability, item.control_probability
        shown = _number(f"{at}.probability", number(with_it, 2), with_it)
        other = _number(f"{at}.control_probability", number(without, 2), without)
        items.append(
            f'<li><span class="condition {_text(item.condition)}">{_text(item.condition)}'
            f"</span> <bdi>{_text(item.prompt)}</bdi><dl>"
            f"<div><dt>with it, {KINDS[item.restates]}</dt>"
            f"<dd>{shown} <bdi>{_text(item.sentence)}</bdi></dd></div>"
            f"<div><dt>without it</dt><dd>{other} <bdi>{_text(item.control_sentence)}</bdi>"
            "</dd></div></dl></li>"
        )
    heading = "<h4>The continuations that leak most</h4>"
    return f'{heading}<ol class="worst">{"".join(items)}</ol>' if items else ""
