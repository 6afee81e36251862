"""``exleak dataset stats``: describe leakage datasets."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from exleak.cli.shared import add_instrument, add_json, check_json, show

_STATS = """Lengths per class (the paper's Figure 1), class confidence, vocabulary, duplicates and
similarity of injected sentences to their controls, for any dataset and tokenizer."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``dataset`` with its subcommand."""
    dataset = commands.add_parser("dataset", help="describe leakage datasets")
    actions = dataset.add_subparsers(dest="action", required=True, metavar="ACTION")
    stats = actions.add_parser("stats", help="lengths and more", description=_STATS)
    stats.add_argument("datasets", nargs="+", metavar="NAME_OR_FILE")
    stats.add_argument(
        "--tokenizer",
        default="wordpiece",
        metavar="NAME",
        help="wordpiece (default), words, a tokenizer.json, or a checkpoint",
    )
    add_instrument(stats, "gives confidence and similarity")
    stats.add_argument("--plot", type=Path, metavar="FILE", help="draw lengths: .png, .svg, .pdf")
    add_json(stats, "the figures")
    stats.set_defaults(run=_stats)


def _stats(options: argparse.Namespace) -> int:
    from exleak.datasets.stats import check_plot, plot, stats

    check_json(options.json)
    if options.plot:
        check_plot(options.plot)
    found = [
        stats(name, tokenizer=options.tokenizer, instrument=options.instrument)
        for name in options.datasets
    ]
    text = json.dumps([item.to_json() for item in found], indent=1, allow_nan=False) + "\n"
    show(["\n\n".join("\n".join(item.lines()) for item in found)], text, options.json)
    if options.plot:
        plot(found, options.plot)
    return 0
