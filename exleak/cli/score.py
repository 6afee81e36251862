"""``exleak score``: clean and score stored generations, and compute their rates."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.cli.gate import EXIT
from exleak.cli.shared import add_instrument, add_json, add_max_rate, check_json, show

if TYPE_CHECKING:
    from exleak.records import Measurement

_DESCRIPTION = """Clean, score and rate stored generations: one prompt a line, {"id", "control",
"condition", "concept", "prompt", "generations"}. Nothing is generated."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser("score", help="score a generations file", description=_DESCRIPTION)
    parser.add_argument("file", type=Path, metavar="FILE", help="a generations file (JSONL)")
    add_instrument(parser)
    parser.add_argument(
        "--raw",
        action="store_true",
        help="score the texts as they are: no first sentence, no echo removed",
    )
    parser.add_argument(
        "--decimals", type=int, metavar="N", help="compare similarities rounded to N decimals"
    )
    parser.add_argument("--model", default="", metavar="NAME", help="what reports call the model")
    parser.add_argument(
        "--dataset", metavar="NAME", help="what reports call the dataset (default: FILE's name)"
    )
    add_json(parser)
    add_max_rate(parser)
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.gate.limits import Limits
    from exleak.measurement import About, score
    from exleak.reports import render

    check_json(options.json)
    measurement = score(
        options.file,
        options.instrument,
        limits=Limits(max_rate=options.max_rate),
        raw=options.raw,
        decimals=options.decimals,
        about=About(model=options.model, dataset=options.dataset or options.file.stem),
    )
    show(_lines(measurement), render("json", [measurement]), options.json)
    return EXIT[measurement.verdict.outcome]


def _lines(measurement: Measurement) -> Iterator[str]:
    from exleak.reports.formatting import number
    from exleak.reports.terminal import table

    for line, _ in table([measurement], set()):
        yield line
    semantic = measurement.semantic
    yield (
        f"semantic leakage: by index {number(semantic.paired.rate)} (n = {semantic.paired.n}), "
        f"by instance {number(semantic.instance.rate)} (n = {semantic.instance.n}), "
        f"over all pairs {number(semantic.superiority.rate)}"
    )
    yield from (f"note: {note}" for note in measurement.notes)
