"""``exleak report``: convert JSON reports to one report of any kind."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path
from typing import Any

from exleak.records import Measurement
from exleak.reports import KINDS

_REPORT = """Turn JSON reports into one report to read or to publish: a self-contained HTML page,
Markdown for a pull request, a LaTeX or CSV table of the rates, GitLab's code-quality report, or one
JSON report."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``report``."""
    parser = commands.add_parser("report", help="reports to read, from JSON", description=_REPORT)
    parser.add_argument("files", type=Path, nargs="+", metavar="REPORT", help="JSON reports")
    parser.add_argument(
        "--to",
        choices=tuple(KINDS),
        help="the kind (default: by the suffix of OUT)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write it here (- prints)")
    parser.set_defaults(run=_report)


def _report(options: argparse.Namespace) -> int:
    from exleak.errors import SettingsError
    from exleak.files import check_file, write_text
    from exleak.reports import kind_of, read_measurements, render

    output = None if str(options.output) == "-" else options.output
    kind = options.to or (output and kind_of(output))
    if kind is None:
        raise SettingsError(f"give the kind of report: --to {', '.join(KINDS)}")
    if output is not None:
        check_file(output)
    measurements = _distinct([one for file in options.files for one in read_measurements(file)])
    text = render(kind, measurements)
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # as in a report file
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    print(f"report: {output}")
    return 0


def _distinct(measurements: list[Measurement]) -> list[Measurement]:
    """Drop copies of measurements; copies with different verdicts are kept."""
    from exleak.gate.families import is_same
    from exleak.reports.formatting import printable

    kept: list[Measurement] = []
    for found in measurements:
        known = [one for one in kept if one.label == found.label and is_same(one, found)]
        if any(one.verdict == found.verdict for one in known):
            text = printable(found.title, 500)
            print(f"exleak report: {text}: given more than once, shown once", file=sys.stderr)
        else:
            kept.append(found)
    return kept
