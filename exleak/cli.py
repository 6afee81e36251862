"""The command line: ``exleak COMMAND``; what a command does is in its package's command.py."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from exleak import comparison_command, gate_command
from exleak.annotate import command as annotate
from exleak.datasets import command as dataset
from exleak.datasets.aexl import command as aexl
from exleak.environment import version
from exleak.errors import ExleakError
from exleak.paper import command as paper
from exleak.reference import command as reference
from exleak.reports import command as reports
from exleak.store import command as store

if TYPE_CHECKING:
    from exleak.records import Measurement


#: Exit statuses of what a signal ended, as shells have them.
_CLOSED_PIPE, _INTERRUPTED = 141, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0 done or pass, 1 fail, 2 usage, 10 unusable.

    130 is an interrupt, 141 an output that nobody reads on.
    """
    _never_fail_to_print()
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Nobody reads on; what is still in the buffer must not fail again at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _CLOSED_PIPE
    except KeyboardInterrupt:
        print(f"exleak {options.command}: interrupted", file=sys.stderr)
        return _INTERRUPTED
    except (ExleakError, OSError) as error:
        print(f"exleak {options.command}: {error}", file=sys.stderr)
        return 2


def _never_fail_to_print() -> None:
    """Print what a terminal's or a pipe's encoding lacks, such as μ, as a question mark."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="replace")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="exleak", description="Expression leakage, measured.")
    parser.add_argument("--version", action="version", version=f"exleak {version()}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    score = commands.add_parser("score", help="score a generations file", description=_SCORE)
    score.add_argument("file", type=Path, metavar="FILE", help="a generations file (JSONL)")
    score.add_argument(
        "--instrument",
        default="embedded",
        metavar="NAME",
        help="embedded (default), paper, or a sequence-classification checkpoint",
    )
    score.add_argument(
        "--raw",
        action="store_true",
        help="score the texts as they are: no first sentence, no echo removed",
    )
    score.add_argument(
        "--decimals", type=int, metavar="N", help="compare similarities rounded to N decimals"
    )
    score.add_argument("--model", default="", metavar="NAME", help="what reports call the model")
    score.add_argument(
        "--dataset", metavar="NAME", help="what reports call the dataset (default: FILE's name)"
    )
    score.add_argument(
        "--json", type=Path, metavar="OUT", help="write the report here, as JSON (- prints)"
    )
    score.add_argument("--max-rate", type=float, metavar="X", help="judge by this limit")
    score.set_defaults(run=_score)
    store.add_parser(commands)
    reference.add_parser(commands)
    annotate.add_parser(commands)
    aexl.add_parser(commands)
    dataset.add_parser(commands)
    reports.add_parser(commands)
    paper.add_parser(commands)
    gate_command.add_parser(commands)
    comparison_command.add_parser(commands)
    return parser


_SCORE = """Clean, score and rate stored generations: one prompt a line, {"id", "control",
"condition", "concept", "prompt", "generations"}. Nothing is generated."""


def _score(options: argparse.Namespace) -> int:
    from exleak.gate import Limits
    from exleak.measurement import About, score
    from exleak.reports import as_json
    from exleak.store.files import check_file, write_text

    is_printed = str(options.json) == "-"
    if options.json and not is_printed:
        check_file(options.json)
    measurement = score(
        options.file,
        options.instrument,
        limits=Limits(max_rate=options.max_rate),
        raw=options.raw,
        decimals=options.decimals,
        about=About(model=options.model, dataset=options.dataset or options.file.stem),
    )
    if is_printed:
        print(as_json([measurement.to_json()]), end="")
    else:
        _show(measurement)
        if options.json:
            write_text(options.json, as_json([measurement.to_json()]))
            print(f"report: {options.json}")
    return gate_command.EXIT[measurement.verdict.outcome]


def _show(measurement: Measurement) -> None:
    from exleak.reports.text import number, table

    found = measurement.to_json()
    for line, _ in table([found], set()):
        print(line)
    semantic = measurement.semantic
    print(
        f"semantic leakage: by index {number(semantic.paired.rate)} (n = {semantic.paired.n}), "
        f"by instance {number(semantic.instance.rate)} (n = {semantic.instance.n}), "
        f"over all pairs {number(semantic.superiority.rate)}"
    )
    for note in measurement.notes:
        print(f"note: {note}")
