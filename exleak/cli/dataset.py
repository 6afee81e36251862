"""``exleak dataset``: describe leakage datasets, import stimuli, and use their intensities."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from exleak.cli.shared import add_instrument, add_json, add_seed, check_json, show
from exleak.records import Measurement

_STATS = """Lengths per class (the paper's Figure 1), class confidence, vocabulary, duplicates and
similarity of injected sentences to their controls, for any dataset and tokenizer."""
_IMPORT = """Make a dataset of sentences that were rated or labelled elsewhere: each control of
another dataset gets a positive, a neutral and a negative one, of about equal length and each used
as evenly as possible. The same file, options and seed give the same bytes."""
_DOSE = """The rates of measurements against the intensity of the injected sentence, for datasets
that know it: μ_EL per prompt, the directional and the residual rate per sample."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``dataset`` with its subcommands."""
    dataset = commands.add_parser("dataset", help="describe and import leakage datasets")
    actions = dataset.add_subparsers(dest="action", required=True, metavar="ACTION")
    stats = actions.add_parser("stats", help="lengths and more", description=_STATS)
    stats.add_argument("datasets", nargs="+", metavar="NAME_OR_FILE")
    _add_tokenizer(stats)
    add_instrument(stats, "gives confidence and similarity")
    stats.add_argument("--plot", type=Path, metavar="FILE", help="draw lengths: .png, .svg, .pdf")
    add_json(stats, "the figures")
    stats.set_defaults(run=_stats)
    _add_import(actions)
    dose = actions.add_parser("dose", help="rates against intensity", description=_DOSE)
    dose.add_argument("dataset", metavar="NAME_OR_FILE", help="the dataset that was measured")
    dose.add_argument("reports", type=Path, nargs="+", metavar="REPORT", help="JSON reports")
    dose.add_argument("--plot", type=Path, metavar="FILE", help="draw them: .png, .svg, .pdf")
    add_json(dose, "the curves")
    dose.set_defaults(run=_dose)


def _add_tokenizer(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer",
        default="wordpiece",
        metavar="NAME",
        help="wordpiece (default), words, a tokenizer.json, or a checkpoint",
    )


def _add_import(actions: argparse._SubParsersAction[Any]) -> None:
    add = actions.add_parser("import", help="use rated sentences", description=_IMPORT)
    add.add_argument("stimuli", type=Path, metavar="STIMULI", help="a .csv, .tsv or .jsonl file")
    add.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    add.add_argument("--license", required=True, metavar="TEXT", help="of the stimuli, or unknown")
    add.add_argument(
        "--provenance", required=True, metavar="TEXT", help="source to cite, or unknown"
    )
    for name, usual in (
        ("sentence", "default: sentence or text"),
        ("valence", "a number or a label; default: valence or label"),
        ("id", "default: id, else the line"),
        ("intensity", "a number; default: intensity, if there"),
    ):
        add.add_argument(f"--{name}-column", metavar="NAME", help=usual)
    for name in ("negative-below", "positive-above"):
        add.add_argument(
            f"--{name}",
            type=float,
            metavar="X",
            help="valence (default: at thirds of the range of the ratings)",
        )
    add.add_argument(
        "--controls", default="hexl", metavar="NAME_OR_FILE", help="of this dataset (default: hexl)"
    )
    add.add_argument("-k", "--samples", type=int, metavar="N", help="default: one per control")
    add_seed(add, "the order in which sentences are drawn")
    add.add_argument("--name", help="of the dataset (default: the file's)")
    add.add_argument(
        "--language", metavar="CODE", help="of the stimuli (default: that of the controls)"
    )
    _add_tokenizer(add)
    add.add_argument(
        "--max-similarity",
        type=float,
        metavar="C",
        help="of a sentence to its control (default: 0.35; not in English: 1, no check)",
    )
    add_json(add, "the counts")
    add.set_defaults(run=_import)


def _stats(options: argparse.Namespace) -> int:
    from exleak.datasets.stats import plot, stats
    from exleak.plotting import check_plot

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


def _import(options: argparse.Namespace) -> int:
    from exleak.stimuli import Columns, import_stimuli

    check_json(options.json)
    found = import_stimuli(
        options.stimuli,
        options.out,
        license=options.license,
        provenance=options.provenance,
        controls=options.controls,
        columns=Columns(
            options.sentence_column,
            options.valence_column,
            options.id_column,
            options.intensity_column,
        ),
        negative_below=options.negative_below,
        positive_above=options.positive_above,
        samples=options.samples,
        seed=options.seed,
        name=options.name,
        language=options.language,
        tokenizer=options.tokenizer,
        max_similarity=options.max_similarity,
    )
    text = json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n"
    made = f"dataset: {options.out}, {found.samples} samples, version {found.version}"
    show([*found.lines(), made], text, options.json)
    return 0


def _dose(options: argparse.Namespace) -> int:
    from exleak.datasets import load_dataset
    from exleak.plotting import check_plot
    from exleak.rates.dose import dose_response
    from exleak.reports import read_measurements
    from exleak.reports.dose import lines, plot

    check_json(options.json)
    if options.plot:
        check_plot(options.plot)
    found = [
        (one.title, dose_response(one, load_dataset(options.dataset, limit=_limit(one))))
        for file in options.reports
        for one in read_measurements(file)
    ]
    values = [{"measurement": title, **curves.to_json()} for title, curves in found]
    text = json.dumps(values, indent=1, allow_nan=False) + "\n"
    shown = ["\n".join(lines(title, curves)) for title, curves in found]
    show(["\n\n".join(shown)], text, options.json)
    if options.plot:
        plot(found, options.plot)
    return 0


def _limit(measurement: Measurement) -> int | None:
    """The number of samples that a run was cut to."""
    limit = measurement.identity.get("limit")
    return limit if isinstance(limit, int) else None
