"""``exleak aexl build``: build a leakage dataset from text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from exleak.cli.progress import building
from exleak.cli.shared import add_instrument, add_store

_BUILD = """Build a leakage dataset from text by the paper's Algorithm 1: label sentences with the
expression scorer, keep the most confident ones, sample, cut neutral ones short as controls, and
combine. The same text, parameters and instrument give the same bytes on any number of processes."""
_SOURCES = """files or folders (text, .jsonl, .csv, .tsv, .parquet; all but the last also as .gz,
.bz2, .xz, .zst), - for standard input, hub:OWNER/NAME for a Hugging Face dataset, or corpus for
exleak's own"""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``aexl`` with its subcommand."""
    aexl = commands.add_parser("aexl", help="build a leakage dataset from text")
    actions = aexl.add_subparsers(dest="action", required=True, metavar="ACTION")
    build = actions.add_parser("build", help="build a dataset", description=_BUILD)
    build.add_argument("sources", nargs="+", metavar="SOURCE", help=_SOURCES)
    build.add_argument("-o", "--output", type=Path, required=True, metavar="FILE")
    _add_recipe(build.add_argument_group("the algorithm"))
    _add_reading(build.add_argument_group("reading"))
    _add_running(build.add_argument_group("running"))
    build.set_defaults(run=_build)


def _add_recipe(group: argparse._ArgumentGroup) -> None:
    group.add_argument("-k", "--samples", type=int, help="samples (default: 200)")
    group.add_argument("-m", "--top", type=int, help="sentences kept per class (default: 700)")
    group.add_argument("-n", "--sampled", type=int, help="sampled of those (default: 600)")
    group.add_argument("--seed", type=int, metavar="N", help="default: 0")
    group.add_argument("--truncation", help="natural (default) or half: where controls stop")
    for name, what in (
        ("words", "sentences (default: 5 to 25)"),
        ("control-words", "control phrases (default: 3 to 8)"),
    ):
        group.add_argument(f"--min-{name}", type=int, metavar="N", help=f"length of {what}")
        group.add_argument(f"--max-{name}", type=int, metavar="N")
    group.add_argument("--min-confidence", type=float, metavar="P", help="default: 0.6")
    group.add_argument(
        "--max-lean",
        type=float,
        metavar="P",
        help="mood that a control phrase may have (default: 0.25)",
    )
    group.add_argument(
        "--max-similarity",
        type=float,
        metavar="C",
        help="of an injected sentence to its control (default: 0.35)",
    )
    group.add_argument(
        "--max-paraphrase",
        type=float,
        metavar="C",
        help="of two sentences of a class (default: 0.8)",
    )
    group.add_argument(
        "--max-overlap",
        type=float,
        metavar="X",
        help="words that two sentences may share (default: 0.6)",
    )
    group.add_argument(
        "--skip-filter",
        action="append",
        default=[],
        metavar="NAME",
        help="use all filters but this one (repeatable)",
    )
    group.add_argument(
        "--no-balance",
        dest="balance",
        action="store_const",
        const=False,
        help="do not balance the length of injected sentences",
    )
    group.add_argument(
        "--fidelity",
        action="store_true",
        help="the paper's algorithm alone: no filters, balancing and limits, except those given",
    )


def _add_reading(group: argparse._ArgumentGroup) -> None:
    group.add_argument("--column", metavar="NAME", help="holds the text (default: text)")
    group.add_argument(
        "--format", metavar="NAME", help="text, jsonl, csv, tsv or parquet (default: by the suffix)"
    )
    group.add_argument("--encoding", default="utf-8-sig", metavar="NAME", help="default: UTF-8")
    group.add_argument("--split", default="train", metavar="NAME", help="of a hub dataset")
    group.add_argument("--config", metavar="NAME", help="of a hub dataset")


def _add_running(group: argparse._ArgumentGroup) -> None:
    add_instrument(group)
    group.add_argument("--processes", type=int, default=1, metavar="N")
    group.add_argument("--engine", default="local", metavar="NAME", help="local (default) or ray")
    add_store(group, "scores, so that a new run goes on,")
    group.add_argument("--name", help="of the dataset (default: the file's)")
    group.add_argument("--license", metavar="TEXT", help="of the text, for the header")
    group.add_argument("--quiet", action="store_true", help="no progress")


def _build(options: argparse.Namespace) -> int:
    from exleak.aexl import Reading, build

    store = None if options.store == "none" else options.store
    try:
        with building(quiet=options.quiet) as show:
            report = build(
                options.sources,
                options.output,
                recipe=_recipe(options),
                reading=Reading(
                    options.column, options.format, options.encoding, options.split, options.config
                ),
                instrument=options.instrument,
                processes=options.processes,
                engine=options.engine,
                store=store,
                name=options.name,
                license=options.license,
                progress=show,
            )
    except KeyboardInterrupt:
        ahead = "the same command goes on from the stored scores" if store else "nothing is kept"
        print(f"\nexleak aexl: interrupted; {ahead}", file=sys.stderr)
        return 130
    print("\n".join(report.lines()))
    print(
        f"dataset: {options.output}, {report.dataset['samples']} samples, "
        f"version {report.dataset['version']}"
    )
    return 0


def _recipe(options: argparse.Namespace) -> Any:
    """The recipe from the given options, with defaults for the others."""
    from dataclasses import fields

    from exleak.aexl.filters import FILTERS
    from exleak.aexl.recipe import Recipe
    from exleak.errors import SettingsError

    given = {
        field.name: value
        for field in fields(Recipe)
        if (value := getattr(options, field.name, None)) is not None
    }
    if unknown := set(options.skip_filter) - {*FILTERS}:
        raise SettingsError(f"unknown filter {min(unknown)!r}: skip some of {', '.join(FILTERS)}")
    if options.samples is not None:
        given.setdefault("sampled", (2 if options.fidelity else 3) * options.samples)
        given.setdefault("top", max(700, given["sampled"] * 7 // 6))
    if options.fidelity:
        return Recipe.published(**given)
    kept = tuple(name for name in FILTERS if name not in options.skip_filter)
    return Recipe(**given, filters=kept)
