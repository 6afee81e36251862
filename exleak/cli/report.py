"""``exleak report``: convert JSON reports to one report of any kind."""

from __future__ import annotations

import argparse
import dataclasses
import io
import sys
from pathlib import Path
from typing import Any

from exleak.cli.shared import add_instrument, origin
from exleak.gate.limits import METRICS
from exleak.records import Measurement
from exleak.reports import KINDS
from exleak.reports.publication import RELATIONSHIPS, Publication

_REPORT = """Turn JSON reports into one report to read or to publish: a self-contained HTML page,
Markdown for a pull request, a LaTeX or CSV table of the rates, GitLab's code-quality report, or one
JSON report; or into a record for the Hugging Face hub (eval-results, model-card) or Every Eval Ever
(eee). Parquet, with every continuation and its scores, is made of generations files
(docs/reports.md)."""


def add_parser(commands: argparse._SubParsersAction[Any]) -> None:
    """Register ``report``."""
    parser = commands.add_parser("report", help="reports to read, from JSON", description=_REPORT)
    parser.add_argument(
        "files",
        type=Path,
        nargs="+",
        metavar="REPORT",
        help="JSON reports; for Parquet, generations files",
    )
    parser.add_argument(
        "--to",
        choices=tuple(KINDS),
        help="the kind (default: by the suffix of OUT)",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="OUT", help="write it here (- prints)")
    _add_publication(parser)
    _add_scoring(parser)
    parser.set_defaults(run=_report)


def _add_publication(parser: argparse.ArgumentParser) -> None:
    """Add the fields of a :class:`Publication`."""
    group = parser.add_argument_group("records (eval-results, model-card, eee)")
    fields = (
        ("model_id", "ID", "the model's id on the hub, or in that form"),
        ("dataset_id", "ID", "the hub's dataset with the prompts, or the leaderboard"),
        ("task_id", "ID", "the task in that dataset's eval.yaml (default: the dataset's name)"),
        ("revision", "REVISION", "that dataset's revision"),
        ("date", "DATE", "when the model was evaluated, as 2026-01-31 or with a time"),
        ("source_url", "URL", "a link to the source of the results"),
        ("source_name", "NAME", "the source's name"),
        ("source_user", "NAME", "the hub's user whose source it is"),
        ("source_org", "NAME", "the hub's organization whose source it is"),
        ("organization", "NAME", "who evaluated"),
        ("notes", "TEXT", "what a reader should know of the setup"),
    )
    for name, metavar, text in fields:
        group.add_argument(_spelled(name), metavar=metavar, help=text)
    group.add_argument(
        "--relationship", choices=RELATIONSHIPS, help="what the evaluator is to the model"
    )
    group.add_argument(
        "--metric", choices=tuple(METRICS), help="the rate of eval-results (default: rate)"
    )


def _add_scoring(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("parquet")
    add_instrument(group, "what scores the continuations")
    group.add_argument("--model", metavar="NAME", help="the column model (default: FILE's name)")
    group.add_argument(
        "--dataset",
        metavar="NAME",
        help="as for exleak score: the dataset that a log's prompts are of; of a generations file, "
        "the column dataset",
    )


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
    about = _publication(options, kind)
    if KINDS[kind].is_of_continuations:
        return _continuations(options, output)
    measurements = _distinct([one for file in options.files for one in read_measurements(file)])
    text = render(kind, measurements, about)
    if output is None:
        if isinstance(sys.stdout, io.TextIOWrapper) and not sys.stdout.isatty():
            sys.stdout.reconfigure(encoding="utf-8")  # as in a report file
        sys.stdout.write(text)
        return 0
    write_text(output, text)
    print(f"report: {output}")
    return 0


def _publication(options: argparse.Namespace, kind: str) -> Publication:
    """The fields that are given.

    Raises:
        SettingsError: The kind takes one of them not, or it is malformed.
    """
    from exleak.errors import SettingsError

    names = [field.name for field in dataclasses.fields(Publication)]
    given = {name: getattr(options, name) for name in names if getattr(options, name) is not None}
    for name in given:
        if name not in KINDS[kind].takes:
            others = ", ".join(other for other, one in KINDS.items() if name in one.takes)
            raise SettingsError(f"{_spelled(name)} is for {others}; {kind} has no place for it")
    return Publication(**given)


def _spelled(name: str) -> str:
    return "--" + name.replace("_", "-")


def _continuations(options: argparse.Namespace, output: Path | None) -> int:
    """Score generations files, and write every continuation."""
    from exleak.errors import SettingsError
    from exleak.files import write_bytes
    from exleak.reports import parquet
    from exleak.scoring import load_instrument

    if output is None:
        raise SettingsError("parquet is no text to print; give a file: -o OUT.parquet")
    if options.model is not None and len(options.files) > 1:
        raise SettingsError(f"--model names one model; these are {len(options.files)} files")
    logs = [(path, _log(path, options)) for path in options.files]
    tool = load_instrument(options.instrument)
    runs = [_run(path, log, tool, options) for path, log in logs]
    write_bytes(output, parquet.render(runs))
    count = sum(len(run.continuations) for run in runs)
    print(f"report: {output} ({count:,} continuations)")
    return 0


def _log(path: Path, options: argparse.Namespace) -> Any:
    from exleak.errors import ReportError
    from exleak.logs import read_log
    from exleak.logs.records import head_of

    head = head_of(path)
    if head.is_report:
        raise ReportError(
            f"{path}: a report has not every continuation; give the run's generations file, which "
            "is in .exleak/runs, and beside the reports of a training"
        )
    return read_log(head, options.dataset)


def _run(path: Path, log: Any, tool: Any, options: argparse.Namespace) -> Any:
    from exleak.measurement import scored_continuations
    from exleak.reports.parquet import Run

    found = tuple(scored_continuations(log.rows, tool))
    about = origin(log, options.model or log.model or path.stem, options.dataset or path.stem)
    return Run(about.model, about.dataset, tool.name, tool.hash, found)


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
