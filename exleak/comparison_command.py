"""``exleak compare``: two or more reports side by side."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.comparison import Comparison

_DESCRIPTION = """Compare measurements with the first report's: the difference of the directional
rate of each control prompt, its sign-flip p-value, the effect size, and the paper's Wilcoxon test
between models. What was not measured alike is refused, with the reason."""
_PLOTS = (".svg", ".png", ".pdf")
_HEAD = ("model", "data", "rate", "first", "Δ", "95% interval", "p", "effect", "Wilcoxon")


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser(
        "compare", help="compare two or more reports", description=_DESCRIPTION
    )
    parser.add_argument("files", nargs="+", type=Path, metavar="REPORT")
    parser.add_argument("--model", help="compare with this model of the first report")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them (.svg, .png, .pdf)")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.errors import ComparisonError
    from exleak.reports import read_report

    reports = [read_report(file) for file in options.files]
    first = reports[0]["measurements"]
    if options.model is not None:
        first = [found for found in first if found["model"] == options.model]
    others = [found for report in reports for found in report["measurements"]]
    rows: list[tuple[dict[str, Any], Comparison]] = []
    for reference in _references(first):
        for found in others:
            if found is not reference and found["dataset"] == reference["dataset"]:
                rows.append((found, _compare(found, reference)))
    if not rows:
        raise ComparisonError(
            "nothing to compare: give two reports that have a dataset in common, or one report of "
            "several models"
        )
    for line in table(rows):
        print(line)
    if options.plot:
        plot(rows, options.plot)
        print(f"plot: {options.plot}")
    return 0


def _references(first: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first measurement of each dataset."""
    found: dict[str, dict[str, Any]] = {}
    for measurement in first:
        found.setdefault(measurement["dataset"], measurement)
    return list(found.values())


def _compare(found: dict[str, Any], reference: dict[str, Any]) -> Comparison:
    from exleak.comparison import compare

    return compare(found, [reference], reference["model"])


def table(rows: list[tuple[dict[str, Any], Comparison]]) -> list[str]:
    """Lines of a table, one comparison each."""
    from exleak.reports.text import interval, number, p_value, printable, tail

    cells = [
        _HEAD,
        *(
            (
                tail(printable(found["model"], 500), 40),
                printable(found["dataset"], 16),
                number(one.rate),
                number(one.reference),
                f"{one.delta:+.3f}",
                interval(one.interval),
                p_value(one.p_value),
                number(one.effect_size, 2),
                p_value(one.wilcoxon),
            )
            for found, one in rows
        ),
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [
        *(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in cells
        ),
        f"rate, first: mean directional rate (.5 is no leakage) against {rows[0][1].against}; p: "
        "one-sided, that it rose",
    ]


def plot(rows: list[tuple[dict[str, Any], Comparison]], path: Path) -> None:
    """Draw each difference with its interval."""
    from exleak.errors import SettingsError
    from exleak.paper.figures import check_plots

    if path.suffix not in _PLOTS:
        raise SettingsError(f"plot {path}: the suffix must be one of {', '.join(_PLOTS)}")
    check_plots()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 1.2 + 0.4 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, (_, one) in enumerate(rows):
        low, high = one.interval or (one.delta, one.delta)
        axes.plot([low, high], [place, place], color="tab:blue", linewidth=2)
        axes.plot([one.delta], [place], "o", color="tab:blue")
    axes.axvline(0, color="gray", linewidth=1)
    axes.set_yticks(
        range(len(rows)), [f"{found['model'][-40:]} ({found['dataset']})" for found, _ in rows]
    )
    axes.invert_yaxis()
    axes.set_xlabel(f"directional rate minus that of {rows[0][1].against}, 95% interval")
    figure.savefig(path)
