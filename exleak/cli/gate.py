"""``exleak gate``: judge stored measurements without a model, a GPU or torch."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from exleak.cli.shared import (
    add_instrument,
    add_json,
    add_max_rate,
    check_json,
    is_printed,
    terminal_width,
)
from exleak.errors import ComparisonError, SettingsError
from exleak.gate.limits import METRICS, Limits, Significance, tolerated
from exleak.records import Measurement

if TYPE_CHECKING:
    from exleak.records import Comparison, Verdict

#: Exit statuses by outcome; those of the pytest plugin are the same, except for usage (4 there).
EXIT = {"pass": 0, None: 0, "inconclusive": 0, "fail": 1, "unusable": 10}
STRICT_INCONCLUSIVE = 11
_DESCRIPTION = """Judge reports (JSON) or generations files (JSONL) by limits. Exit status: 0 pass,
or inconclusive without --strict; 1 leakage failed; 2 usage; 10 unusable or nothing measured; 11
inconclusive with --strict. The worst outcome decides: fail, unusable, inconclusive, pass."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser("gate", help="judge stored reports", description=_DESCRIPTION)
    parser.add_argument("files", nargs="+", type=Path, metavar="REPORT")
    add_max_rate(parser)
    parser.add_argument("--metric", choices=tuple(METRICS), default="rate")
    parser.add_argument("--significance", choices=get_args(Significance))
    parser.add_argument("--compare", metavar="NAME_OR_FILE", help="a baseline")
    parser.add_argument(
        "--compare-fail", type=float, metavar="MARGIN", help="increase tolerated (default: 0)"
    )
    parser.add_argument(
        "--compare-pass",
        type=float,
        metavar="MARGIN",
        help="pass only a model shown, with 95%% confidence, to leak less than this more than the "
        "baseline; then also the default of --compare-fail",
    )
    parser.add_argument("--baselines", type=Path, default=Path("leakage_baselines"), metavar="DIR")
    add_instrument(parser, "for generations files")
    parser.add_argument("--strict", action="store_true", help="inconclusive fails")
    add_json(parser, "the judged report")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.gate.families import remarks, without_copies
    from exleak.reports import kind_of, render, write_report

    limits = Limits(
        max_rate=options.max_rate,
        metric=options.metric,
        significance=options.significance,
        margin=_margin(options),
        non_inferior=options.compare_pass,
    )
    if not limits.judge_anything:
        raise SettingsError("nothing to judge by: give --max-rate, --significance or --compare")
    if options.json and not is_printed(options.json):
        kind_of(options.json)
        check_json(options.json)
    measurements, notes = without_copies(
        [found for file in options.files for found in _read(file, options.instrument)]
    )
    notes += remarks(measurements)
    if not measurements:
        print("exleak gate: the reports hold no measurement", file=sys.stderr)
        return EXIT["unusable"]
    judged = judge_reports(measurements, limits, options.compare, options.baselines)
    status = exit_status([found.verdict.outcome for found in judged], strict=options.strict)
    if is_printed(options.json):
        print(render("json", judged), end="")
        for note in notes:
            print(f"exleak gate: {note}", file=sys.stderr)
        return status
    _show(judged, notes)
    if options.json:
        write_report(options.json, judged)
    return status


def _margin(options: argparse.Namespace) -> float | None:
    """The tolerated increase over the baseline; ``None`` without a baseline.

    Raises:
        SettingsError: A margin without a baseline.
    """
    margins = options.compare_fail, options.compare_pass
    if options.compare is not None:
        return tolerated(*margins)
    if margins != (None, None):
        raise SettingsError("--compare-fail and --compare-pass need --compare NAME_OR_FILE")
    return None


def _show(judged: list[Measurement], notes: list[str]) -> None:
    from exleak.notes import explained
    from exleak.reports.formatting import printable
    from exleak.reports.terminal import fitted

    for line, _ in fitted(judged, set(), width=terminal_width())[0]:
        print(line)
    for found in judged:
        for text in explained(found):
            print(f"{found.title}: {text}")
    for note in notes:
        print(printable(note, 500))


def exit_status(outcomes: Sequence[str | None], *, strict: bool) -> int:
    """The exit status for the worst of several outcomes."""
    for outcome in ("fail", "unusable"):
        if outcome in outcomes:
            return EXIT[outcome]
    return STRICT_INCONCLUSIVE if strict and "inconclusive" in outcomes else 0


def _read(file: Path, instrument: str) -> list[Measurement]:
    from exleak.measurement import score
    from exleak.store.report import read_measurements

    if file.suffix == ".jsonl":
        return [score(file, instrument)]
    return [*read_measurements(file)]


def judge_reports(
    measurements: list[Measurement], limits: Limits, compare: str | None, baselines: Path
) -> list[Measurement]:
    """Judge measurements again; p-values are adjusted across the models of a dataset.

    Args:
        measurements: The measurements.
        limits: The limits to judge by.
        compare: A baseline's name or a report; ``None`` if ``limits`` has no margin.
        baselines: The folder of baselines.
    """
    from exleak.gate.families import adjusted as adjust

    adjusted = adjust(measurements) if limits.significance in ("forbid", "require") else {}
    judged = []
    for place, found in enumerate(measurements):
        comparison = None if compare is None else _compare(found, compare, baselines, limits)
        verdict = _judge(found, limits, adjusted.get(place), comparison)
        judged.append(replace(found, verdict=verdict))
    return judged


def _compare(
    measurement: Measurement, compare: str, baselines: Path, limits: Limits
) -> Comparison | ComparisonError:
    from exleak.gate.baselines import load, matching
    from exleak.gate.comparison import compare as compare_with
    from exleak.gate.comparison import compared_metric

    reports = load(baselines, compare)
    if not reports:
        raise SettingsError(f"there is no baseline {compare!r} in {baselines}")
    try:
        others = matching(reports, measurement.model, measurement.dataset, compare)
        metric = compared_metric(limits.metric)
        return compare_with(measurement, others, compare, metric, limits.non_inferior)
    except ComparisonError as error:
        return error


def _judge(
    found: Measurement,
    limits: Limits,
    adjusted: float | None,
    comparison: Comparison | ComparisonError | None,
) -> Verdict:
    from exleak.gate.rules import judge
    from exleak.gate.usable import counts_of

    # A report holds bounds at the run's confidence level only.
    limits = replace(limits, level=found.verdict.level)
    return judge(
        found.expression,
        **counts_of(found.generations),
        limits=limits,
        adjusted=adjusted,
        comparison=comparison,
    )
