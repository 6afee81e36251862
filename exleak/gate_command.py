"""``exleak gate``: judge what was measured before, without a model, a GPU or torch."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import ComparisonError, SettingsError

if TYPE_CHECKING:
    from exleak.comparison import Comparison
    from exleak.gate import Limits, Metric
    from exleak.records import Verdict

#: Exit statuses, worst last; the pytest plugin's are the same, but for usage (4 there).
EXIT = {"pass": 0, None: 0, "inconclusive": 0, "fail": 1, "unusable": 10}
STRICT_INCONCLUSIVE = 11
_DESCRIPTION = """Judge reports (JSON) or generations files (JSONL) by limits. Exit status: 0 pass,
or inconclusive without --strict; 1 leakage failed; 2 usage; 10 unusable or nothing measured; 11
inconclusive with --strict. The worst outcome decides: fail, unusable, inconclusive, pass."""


def add_parser(commands: Any) -> None:
    """Register the command."""
    parser = commands.add_parser("gate", help="judge stored reports", description=_DESCRIPTION)
    parser.add_argument("files", nargs="+", type=Path, metavar="REPORT")
    parser.add_argument("--max-rate", type=float, metavar="X", help="highest rate allowed")
    parser.add_argument("--metric", choices=("rate", "directional", "residual"), default="rate")
    parser.add_argument("--significance", choices=("forbid", "require", "report"))
    parser.add_argument("--compare", metavar="NAME_OR_FILE", help="a baseline")
    parser.add_argument(
        "--compare-fail", type=float, default=0.0, metavar="MARGIN", help="increase tolerated"
    )
    parser.add_argument("--baselines", type=Path, default=Path("leakage_baselines"), metavar="DIR")
    parser.add_argument("--instrument", default="embedded", help="for generations files")
    parser.add_argument("--strict", action="store_true", help="inconclusive fails")
    parser.add_argument(
        "--json", type=Path, metavar="OUT", help="write the judged report (- prints)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from exleak.gate import Limits
    from exleak.repeats import remarks, without_copies
    from exleak.reports import as_json, kind_of, write_report
    from exleak.store.files import check_file

    limits = Limits(
        max_rate=options.max_rate,
        metric=options.metric,
        significance=options.significance,
        margin=None if options.compare is None else options.compare_fail,
    )
    if not limits.judge_anything:
        raise SettingsError("nothing to judge by: give --max-rate, --significance or --compare")
    if options.json and str(options.json) != "-":
        kind_of(options.json)
        check_file(options.json)
    measurements, notes = without_copies(
        [found for file in options.files for found in _read(file, options.instrument)]
    )
    notes += remarks(measurements)
    if not measurements:
        print("exleak gate: the reports hold no measurement", file=sys.stderr)
        return EXIT["unusable"]
    judged = judge_reports(measurements, limits, options.compare, options.baselines)
    status = exit_status([found["verdict"]["outcome"] for found in judged], strict=options.strict)
    if str(options.json) == "-":
        print(as_json(judged), end="")
        for note in notes:
            print(f"exleak gate: {note}", file=sys.stderr)
        return status
    _show(judged, notes)
    if options.json:
        write_report(options.json, judged)
    return status


def _show(judged: list[dict[str, Any]], notes: list[str]) -> None:
    from exleak.reports.tables import name_of
    from exleak.reports.text import printable, table

    for line, _ in table(judged, set()):
        print(line)
    for found in judged:
        for text in (*found["verdict"]["reasons"], *found["notes"]):
            print(f"{name_of(found)}: {text}")
    for note in notes:
        print(printable(note, 500))


def exit_status(outcomes: list[str | None], *, strict: bool) -> int:
    """The exit status that the worst of several outcomes gives."""
    for outcome in ("fail", "unusable"):
        if outcome in outcomes:
            return EXIT[outcome]
    return STRICT_INCONCLUSIVE if strict and "inconclusive" in outcomes else 0


def _read(file: Path, instrument: str) -> list[dict[str, Any]]:
    from exleak.measurement import score
    from exleak.reports import read_report

    if file.suffix == ".jsonl":
        return [score(file, instrument).to_json()]
    found: list[dict[str, Any]] = read_report(file)["measurements"]
    return found


def judge_reports(
    measurements: list[dict[str, Any]], limits: Limits, compare: str | None, baselines: Path
) -> list[dict[str, Any]]:
    """Judge measurements anew; the models of one dataset have their p-values adjusted together.

    Args:
        measurements: As :meth:`exleak.Measurement.to_json` gives them.
        limits: What to judge by.
        compare: A baseline's name or a report, if ``limits`` has a margin.
        baselines: Where baselines are.
    """
    from exleak.records import to_json
    from exleak.repeats import adjusted as adjust

    adjusted = adjust(measurements) if limits.significance in ("forbid", "require") else {}
    judged = []
    for place, found in enumerate(measurements):
        comparison = None if compare is None else _compare(found, compare, baselines, limits.metric)
        verdict = _judge(found, limits, adjusted.get(place), comparison)
        judged.append({**found, "verdict": to_json(verdict)})
    return judged


def _compare(
    measurement: dict[str, Any], compare: str, baselines: Path, metric: Metric
) -> Comparison | ComparisonError:
    from exleak.baselines import load, matching
    from exleak.comparison import compare as compare_with
    from exleak.comparison import compared_metric

    reports = load(baselines, compare)
    if not reports:
        raise SettingsError(f"there is no baseline {compare!r} in {baselines}")
    try:
        others = matching(reports, measurement["model"], measurement["dataset"], compare)
        return compare_with(measurement, others, compare, compared_metric(metric))
    except ComparisonError as error:
        return error


def _judge(
    found: dict[str, Any],
    limits: Limits,
    adjusted: float | None,
    comparison: Comparison | ComparisonError | None,
) -> Verdict:
    from exleak.gate import counts_of, judge
    from exleak.records import Expression, from_json

    # The bounds were computed at the level of the run; no other can be had from a report.
    limits = replace(limits, level=found["verdict"].get("level", limits.level))
    return judge(
        from_json(Expression, found["expression"]),
        **counts_of(found["generations"]),
        limits=limits,
        adjusted=adjusted,
        comparison=comparison,
    )
