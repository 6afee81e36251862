"""``exleak score``: clean and score stored generations, and compute their rates."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.cli.gate import EXIT
from exleak.cli.progress import measuring
from exleak.cli.shared import (
    add_instrument,
    add_json,
    add_max_rate,
    check_json,
    origin,
    show,
    terminal_width,
)

if TYPE_CHECKING:
    from exleak.records import Measurement

_DESCRIPTION = """Clean, score and rate stored generations: a generations file, or what another
tool wrote (lm-evaluation-harness, Inspect, HELM, promptfoo, deepeval, Every Eval Ever, a table),
found out by its content (docs/other-tools.md). Nothing is generated."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser("score", help="score a generations file", description=_DESCRIPTION)
    parser.add_argument("file", type=Path, metavar="FILE", help="a generations file, or a log")
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
        "--dataset",
        metavar="NAME",
        help="the dataset that a log's prompts are of, a name or a file (default: the shipped "
        "ones are tried); for a generations file, what reports call it (default: FILE's name)",
    )
    _add_columns(parser)
    add_json(parser)
    add_max_rate(parser)
    parser.set_defaults(run=_run)


def _add_columns(parser: argparse.ArgumentParser) -> None:
    columns = parser.add_argument_group("columns of a table (CSV, TSV, JSON lines, Parquet)")
    columns.add_argument("--prompt-column", metavar="NAME", help="the prompt's text")
    columns.add_argument(
        "--generation-column",
        action="append",
        default=[],
        metavar="NAME",
        help="a generation, or a list of them; may be given several times",
    )
    columns.add_argument("--id-column", metavar="NAME", help="the prompt's id in the dataset")


def _run(options: argparse.Namespace) -> int:
    from exleak.gate.limits import Limits
    from exleak.logs import Columns, read_log
    from exleak.measurement import score
    from exleak.reports import render

    check_json(options.json)
    columns = Columns(options.prompt_column, tuple(options.generation_column), options.id_column)
    log = read_log(options.file, options.dataset, columns)
    with measuring(options.file.name) as progress:
        measurement = score(
            log.rows,
            options.instrument,
            limits=Limits(max_rate=options.max_rate),
            raw=options.raw,
            decimals=options.decimals,
            about=origin(log, options.model or log.model, options.dataset or options.file.stem),
            progress=progress,
        )
    show(_lines(measurement), render("json", [measurement]), options.json)
    return EXIT[measurement.verdict.outcome]


def _lines(measurement: Measurement) -> Iterator[str]:
    from exleak.reports.formatting import number
    from exleak.reports.terminal import fitted

    for line, _ in fitted([measurement], set(), width=terminal_width())[0]:
        yield line
    semantic = measurement.semantic
    yield (
        f"semantic leakage: by index {number(semantic.paired.rate)} (n = {semantic.paired.n}), "
        f"by instance {number(semantic.instance.rate)} (n = {semantic.instance.n}), "
        f"over all pairs {number(semantic.superiority.rate)}"
    )
    yield from (f"note: {note}" for note in measurement.notes)
