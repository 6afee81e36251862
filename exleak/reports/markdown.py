"""A short report for pull requests in Markdown, with long parts folded.

Model output appears only in code spans, where Markdown, links and mentions have no effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from html import escape

from exleak.notes import explained
from exleak.records import Continuation, Measurement, Rate
from exleak.reports.columns import (
    KINDS,
    SERIES,
    Column,
    cells,
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

_SIGNS = {"pass": "✅", "fail": "❌", "inconclusive": "⚠️", "unusable": "🚫", None: "ℹ️"}
_RATES = ("rate", "value", "95% interval", "n", "p", "ties")
_WORST = ("after", "prompt", "with it", "kind", "P", "without it", "P")
_SHOWN = 5
_WIDTH = 160
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~@&$!:]")
#: GitHub looks for mentions and issue numbers after entities are resolved: a zero-width space
#: behind these signs ends them.
_NOTIFYING = "@#"


def render(measurements: Sequence[Measurement]) -> str:
    """Render the report."""
    lines = [f"### Expression leakage: {headline(measurements)}", ""]
    columns = Layout().columns_for(measurements)
    head = ("", "model", "dataset", *(column.title for column in columns), "outcome")
    lines += table(head, (_summary(measurement, columns) for measurement in measurements))
    lines += [*_remarks(measurements), "", *_series(measurements)]
    for measurement in measurements:
        lines += _details(measurement)
    lines.append(
        "μ_EL: share of prompts whose mood follows an irrelevant sentence; W_EL: its Wilcoxon "
        "p-value; directional: chance that a continuation is brighter after the positive than "
        "after the negative sentence; residual: the same among continuations that do not restate "
        "the injected sentence, whose share is carry-over; for all rates but that .5 is no leakage."
    )
    return "\n".join(lines) + "\n"


def _summary(measurement: Measurement, columns: Sequence[Column]) -> Sequence[str]:
    return (
        _SIGNS[measurement.verdict.outcome],
        code(measurement.label),
        code(measurement.dataset),
        *cells(measurement, columns),
        outcome_of(measurement),
    )


def _remarks(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Reasons and notes, one line each."""
    for measurement in measurements:
        name = code(measurement.title)
        yield from (f"- {name}: {plain(remark)}" for remark in explained(measurement))


def _series(measurements: Sequence[Measurement]) -> Iterator[str]:
    """The table of checkpoints in training order, if there are any."""
    checkpoints = [measurement for measurement in measurements if measurement.series]
    if checkpoints:
        yield from table(
            ("checkpoint", "dataset", *(head for head, _, _ in SERIES), ""), map(_step, checkpoints)
        )


def _step(measurement: Measurement) -> Sequence[str]:
    numbers = [shown(lookup(measurement, place)) for _, place, shown in SERIES]
    return (
        code(measurement.label),
        code(measurement.dataset),
        *numbers,
        series_mark(measurement.series) if measurement.series else "",
    )


def _details(measurement: Measurement) -> Iterator[str]:
    name = escape(printable(measurement.title, 500))
    yield f"<details><summary>Rates, sentences and settings: <code>{name}</code></summary>"
    yield ""
    yield from table(_RATES, (_rate(name, rate) for name, _, rate in rate_rows(measurement)))
    worst = measurement.worst[:_SHOWN]
    if worst:
        yield "The continuations that leak most, beside a typical one without the sentence:"
        yield ""
        yield from table(_WORST, map(_example, worst))
    yield from table(
        ("besides", "value"), ((name, text) for name, _, _, text in fact_rows(measurement))
    )
    yield from table(
        ("setting", "value"), ((code(name), code(text)) for name, text in setting_rows(measurement))
    )
    yield "</details>"
    yield ""


def _rate(name: str, rate: Rate) -> Sequence[str]:
    shown = (str(rate.n), p_value(rate.p_value), str(rate.ties))
    return (name, number(rate.rate), interval(rate.interval), *shown)


def _example(item: Continuation) -> Sequence[str]:
    return (
        item.condition,
        code(item.prompt),
        code(item.sentence),
        KINDS[item.restates],
        number(item.probability, 2),
        code(item.control_sentence),
        number(item.control_probability, 2),
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, with an empty one after it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{' --- |' * len(head)}"
    yield from (
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows
    )
    yield ""


def code(text: str) -> str:
    """A text as a code span, with backticks fenced and control characters replaced."""
    shown = printable(" ".join(text.split()), _WIDTH) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", shown)), default=0))
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def plain(text: str) -> str:
    """A message that may quote names, with Markdown's special characters escaped."""
    shown = printable(" ".join(text.split()), 1000)
    return _SPECIAL.sub(_entity, shown)


def _entity(found: re.Match[str]) -> str:
    return f"&#{ord(found[0])};" + ("&#8203;" if found[0] in _NOTIFYING else "")
