"""``exleak compare``: compare the measurements of one or more reports."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.plotting import check_plot, load_matplotlib
from exleak.records import Measurement

if TYPE_CHECKING:
    from exleak.errors import ComparisonError
    from exleak.records import Compared, Comparison

    #: A measurement, and its comparison or the error that prevented one.
    Row = tuple[Measurement, Comparison | ComparisonError]

_DESCRIPTION = """Compare measurements with the first report's: the difference of the directional
rate of each control prompt, its sign-flip p-value, the effect size, and the paper's Wilcoxon test
between models; beside them how much each restates the injected sentence, and the directional rate
of what does not (residual). What was not measured alike is named, with the reason."""
_HEAD = ("model", "data", "rate", "first", "Δ", "95% interval", "p", "effect", "Wilcoxon",
         "carry-over", "residual")  # fmt: skip


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "compare", help="compare two or more reports", description=_DESCRIPTION
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="REPORT")
    parser.add_argument("--model", help="compare with this model of the first report")
    parser.add_argument(
        "--metric",
        choices=("directional", "residual"),
        default="directional",
        help="which rate of each control prompt is compared (default: directional)",
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them (.svg, .png, .pdf)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.errors import ComparisonError
    from exleak.gate.families import without_copies
    from exleak.store.report import read_measurements

    if options.plot:
        check_plot(options.plot)
    reports = [read_measurements(file) for file in options.files]
    first = [*reports[0]]
    if options.model is not None:
        first = [found for found in first if found.model == options.model]
    others, notes = without_copies([one for report in reports for one in report])
    rows: list[Row] = []
    for reference in _references(first):
        for found in others:
            if not _is_copy(found, reference) and found.dataset == reference.dataset:
                rows.append((found, _compare(found, reference, options.metric)))
    if not rows:
        raise ComparisonError(
            "nothing to compare: give two reports that have a dataset in common, or one report of "
            "several models" + "".join(f"; {note}" for note in notes)
        )
    if not compared(rows):
        reasons = (f"{found.title} is {reason}" for found, reason in rows)
        raise ComparisonError(f"nothing could be compared: {'; '.join(reasons)}")
    for line in (*table(rows), *notes):
        print(line)
    if options.plot:
        plot(rows, options.plot)
        print(f"plot: {options.plot}")
    return 0


def _is_copy(found: Measurement, reference: Measurement) -> bool:
    from exleak.gate.families import is_same

    return found.label == reference.label and is_same(found, reference)


def _references(first: list[Measurement]) -> list[Measurement]:
    """The first measurement of each dataset."""
    found: dict[str, Measurement] = {}
    for measurement in first:
        found.setdefault(measurement.dataset, measurement)
    return list(found.values())


def _compare(
    found: Measurement, reference: Measurement, metric: Compared
) -> Comparison | ComparisonError:
    from exleak.errors import ComparisonError
    from exleak.gate.comparison import compare

    try:
        return compare(found, [reference], reference.label, metric)
    except ComparisonError as error:
        return error


def compared(rows: list[Row]) -> list[tuple[Measurement, Comparison]]:
    """The rows with a comparison, without those that hold an error."""
    from exleak.records import Comparison

    return [(found, one) for found, one in rows if isinstance(one, Comparison)]


def table(rows: list[Row]) -> list[str]:
    """The lines of a table, one per pair; a pair that cannot be compared shows the reason."""
    from exleak.gate.limits import METRICS
    from exleak.reports.formatting import printable

    cells = [_HEAD, *(_cells(found, one) for found, one in rows)]
    aligned = [row for row in cells if len(row) == len(_HEAD)]
    widths = [max(map(len, column)) for column in zip(*aligned, strict=True)]
    for place in (0, 1):
        widths[place] = max(len(row[place]) for row in cells)
    against = ", ".join(dict.fromkeys(one.against for _, one in compared(rows)))
    name = METRICS[compared(rows)[0][1].metric]
    return [
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)).rstrip()
            for row in cells
        ),
        f"rate, first: mean {name} (.5 is no leakage) against "
        f"{printable(against, 500)}; p: one-sided, that it rose",
    ]


def _cells(found: Measurement, one: Comparison | ComparisonError) -> tuple[str, ...]:
    from exleak.errors import ComparisonError
    from exleak.reports.columns import lookup
    from exleak.reports.formatting import interval, number, p_value, printable, tail

    names = (tail(printable(found.label, 500), 40), printable(found.dataset, 16))
    if isinstance(one, ComparisonError):
        return (*names, printable(str(one), 500))
    return (
        *names,
        number(one.rate),
        number(one.reference),
        f"{one.delta:+.3f}",
        interval(one.interval),
        p_value(one.p_value),
        number(one.effect_size, 2),
        p_value(one.wilcoxon),
        number(lookup(found, "expression.carry_over.share.rate")),
        number(lookup(found, "expression.residual.directional.rate")),
    )


def plot(rows: list[Row], path: Path) -> None:
    """Plot each difference with its interval."""
    load_matplotlib()
    from matplotlib.figure import Figure

    from exleak.gate.limits import METRICS

    drawn = compared(rows)
    figure = Figure(figsize=(7, 1.2 + 0.4 * len(drawn)), layout="constrained")
    axes = figure.subplots()
    for place, (_, one) in enumerate(drawn):
        low, high = one.interval or (one.delta, one.delta)
        axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        axes.plot([one.delta], [place], "o", color="tab:blue")
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_yticks(
        range(len(drawn)), [f"{found.label[-40:]} ({found.dataset})" for found, _ in drawn]
    )
    axes.invert_yaxis()
    name = METRICS[drawn[0][1].metric]
    axes.set_xlabel(f"{name} minus that of {drawn[0][1].against}, 95% interval")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
