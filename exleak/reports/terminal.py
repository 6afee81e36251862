"""Measurements as plain text, for terminals and failure messages.

Model output is untrusted input, so it is shown with control characters replaced.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import cast

from exleak.gate.limits import METRICS, Metric
from exleak.notes import effect
from exleak.records import Continuation, Expression, Measurement, Outcome, Verdict
from exleak.reports.columns import KINDS, Column, cells, outcome_of, series_mark
from exleak.reports.formatting import interval, number, p_value, printable, tail
from exleak.reports.layout import Layout

_WORST = 3
_WIDTH = 74
#: Width of each of the two continuations of a pair.
_SIDE = 34
_BAR = 24
_NEXT_WIDTH = 78


def table(
    measurements: Sequence[Measurement],
    expected: set[tuple[str, str]],
    layout: Layout | None = None,
) -> Iterator[tuple[str, str | None]]:
    """Lines of the summary table, each with its outcome; "expected" for an expected failure.

    Args:
        measurements: Measurements in display order.
        expected: (model, dataset) of those that are expected to fail.
        layout: Columns, order and groups; an empty line stands between two groups.
    """
    layout = layout or Layout()
    columns = layout.columns_for(measurements)
    groups = [
        [_row(m, (m.model, m.dataset) in expected, columns) for m in group]
        for group in layout.groups(measurements)
    ]
    head = ("model", "data", *(column.title for column in columns), "outcome")
    rows = [head, *(row for group in groups for row, _ in group)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]

    def line(row: Sequence[str]) -> str:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        return "  ".join(cells).rstrip()

    yield line(head), "heading"
    for group in groups:
        if group is not groups[0]:
            yield "", None
        yield from ((line(row), outcome) for row, outcome in group)


def fitted(
    measurements: Sequence[Measurement],
    expected: set[tuple[str, str]],
    layout: Layout | None = None,
    width: int | None = None,
) -> tuple[list[tuple[str, str | None]], Layout]:
    """The lines of :func:`table`, with the default columns that fit, and their layout.

    Args:
        measurements, expected, layout: As for :func:`table`.
        width: Characters of the terminal; ``None`` where lines may be of any length.
    """
    for choice in (layout or Layout()).choices(measurements):
        lines = list(table(measurements, expected, choice))
        if width is None or max(len(line) for line, _ in lines) <= width:
            break
    return lines, choice


def _row(
    measurement: Measurement, expected: bool, columns: Sequence[Column]
) -> tuple[tuple[str, ...], str | None]:
    """The cells of a measurement, and its outcome."""
    found: str | None = measurement.verdict.outcome
    word = None
    if expected:
        word = "caught, as expected" if found == "fail" else f"{found}, expected to fail"
        found = "expected" if found == "fail" else found
    row = (
        tail(printable(measurement.label, 500), 40),
        printable(measurement.dataset, 16),
        *cells(measurement, columns),
        outcome_of(measurement, word),
    )
    return row, found


def series_lines(measurements: Sequence[Measurement]) -> Iterator[tuple[str, bool]]:
    """Directional rate by checkpoint for each series, and whether a line is the alarm."""
    starts: set[tuple[str, str]] = set()
    for measurement in measurements:
        step = measurement.series
        if not step:
            continue
        if (step.start, measurement.dataset) not in starts:
            starts.add((step.start, measurement.dataset))
            yield f"directional rate by checkpoint, {printable(measurement.dataset, 16)}:", False
        bar = "█" * round(step.rate * _BAR)
        name = tail(printable(measurement.label, 500), 40)
        line = f"  {name:40} {step.rate:.3f} {bar:{_BAR}}"
        if step.p_value is not None:
            line += f" {step.delta:+.3f}  adjusted p {p_value(step.p_value)}"
        mark = series_mark(step)
        yield f"{line}  ← {mark}" if mark else line, step.is_first_worse


def next_steps(
    measurements: Sequence[Measurement],
    expected: set[tuple[str, str]],
    *,
    has_report: bool,
) -> Iterator[str]:
    """Hints for the reader: reasons, detectable increases, notes and options to use next."""
    for measurement in measurements:
        verdict, name = measurement.verdict, measurement.title
        if verdict.outcome == "inconclusive":
            yield f"INCONCLUSIVE  {name}: {'; '.join(verdict.reasons)}"
        if verdict.outcome == "pass":
            yield from _sharpness(name, verdict)
        yield from (f"{name}: {note}" for note in measurement.notes)
    if measurements and not has_report:
        yield "every number and the worst continuations: --leakage-report out.json"


def _sharpness(name: str, verdict: Verdict) -> Iterator[str]:
    """What would have failed in 90% of runs like one that passed, if anything would."""
    compared, limit, detectable = verdict.comparison, verdict.limit, verdict.detectable
    if compared is not None and compared.detectable is not None and compared.detectable < 1:
        increase = (
            f"an increase of {compared.detectable:.2f} over {printable(compared.against, 60)}"
        )
        yield f"{name}: {increase} fails in 90% of such runs"
    if limit is not None and detectable is not None and limit + detectable < 1:
        rate = f"a true {METRICS[cast(Metric, verdict.metric)]} of {limit + detectable:.2f}"
        yield f"{name}: {rate} or more fails the limit {limit:g} in 90% of such runs"


_READ = "exleak view, or --leakage-report out.html, for every pair"
#: What to do after a test has failed, by the outcome.
_NEXT: dict[Outcome, str] = {
    "fail": (
        f"{_READ}; to see whether the training did it, --leakage-report-only --leakage-save base "
        "with the model that it began with, then --leakage-compare base with this one."
    ),
    "inconclusive": (
        "--leakage-dataset aexl or more --leakage-generations for a narrower interval, or "
        f"--leakage-compare with a baseline; {_READ}."
    ),
    "unusable": "exleak view to read what the model wrote.",
    "pass": f"{_READ}.",
}


def failure(
    measurement: Measurement, outcome: Outcome, reason: str, *, what_next: str | None = None
) -> str:
    """The message of a failing test: model, rates, intervals, worst continuations, next steps.

    Args:
        measurement: The measurement.
        outcome: The outcome of the rule that failed.
        reason: Its reason in words.
        what_next: What the reader may do next; by default what pytest and ``exleak`` offer.
    """
    expression = measurement.expression
    name = measurement.label
    what = "leaks expression" if outcome == "fail" else f"is {outcome}"
    lines = [
        f"{name} {what} on {measurement.dataset}: {reason}",
        "",
        f"  μ_EL  {number(expression.rate)}  (95% interval {interval(expression.interval)}, "
        f"n = {expression.n}, ties {expression.ties}; .5 is no leakage)",
        f"  W_EL  {p_value(expression.p_value)}",
        f"  directional  {number(expression.directional.rate)}  "
        f"({interval(expression.directional.interval)}; .5 is no leakage)",
        *_mood_or_echo(expression),
        f"  kind  {effect(expression)}",
        *(
            f"  after a {condition} sentence  {number(rate.rate)}  ({interval(rate.interval)})"
            for condition, rate in expression.by_condition.items()
        ),
        f"  instrument {measurement.instrument}, {measurement.sampling.get('generations')} "
        f"generations per prompt, seed {measurement.sampling.get('seed')}",
    ]
    lines += [f"  note: {note}" for note in measurement.notes]
    if measurement.worst:
        lines += ["", "  The continuations that leak most:"]
        for item in measurement.worst[:_WORST]:
            lines += _example(item)
    what_next = what_next or _NEXT[outcome]
    lines += ["", *(f"  {line}" for line in _wrapped(f"Next: {what_next}"))]
    return "\n".join(lines)


def _wrapped(text: str) -> list[str]:
    """The lines of a text that may have paths and options in it, which stay whole."""
    return textwrap.wrap(text, _NEXT_WIDTH, break_long_words=False, break_on_hyphens=False)


def _mood_or_echo(expression: Expression) -> Iterator[str]:
    """Lines with the carry-over share and the residual directional rate."""
    carried, residual = expression.carry_over, expression.residual
    if carried is not None:
        yield (
            f"  carry-over  {number(carried.share.rate)}  ({interval(carried.share.interval)}; the "
            "share that restates the injected sentence)"
        )
    if residual is not None:
        rest = residual.directional
        shown = f"{interval(rest.interval)}; directional, of the others" if rest.n else None
        yield f"  residual  {number(rest.rate)}  ({shown or residual.reason})"


def _example(item: Continuation) -> list[str]:
    """A pair: the prompt, and below it the continuations with and without the sentence."""
    wrapped = textwrap.wrap(f"{item.condition}: {printable(item.prompt, 300)}", _WIDTH)
    sides = [
        [
            f"with it: {item.probability:.2f}, {KINDS[item.restates]}",
            *textwrap.wrap(printable(item.sentence), _SIDE),
        ],
        [
            f"without it: {item.control_probability:.2f}",
            *textwrap.wrap(printable(item.control_sentence), _SIDE),
        ],
    ]
    return [
        *(f"    {line}" for line in wrapped),
        *(
            f"      {left:{_SIDE}} │ {right}".rstrip()
            for left, right in zip_longest(*sides, fillvalue="")
        ),
    ]
