"""The measurements of a session: collected, written to reports and baselines, and shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from leakage_fixtures import models, settings
from leakage_fixtures.guard import INCONCLUSIVE, NOT_MEASURED
from leakage_fixtures.rootdir import root

if TYPE_CHECKING:
    import pytest

    from exleak.records import Compared, Measurement

#: Least number of checkpoints that form a series.
_SERIES = 3


@dataclass(frozen=True)
class Entry:
    """The measurement of one test, as sent by the process that ran it.

    Attributes:
        measurement: The measurement, with the verdict of that test.
        limits: The limits that it was judged by, as JSON.
        order: Its sort key in tables.
        expected: Why the model is expected to fail; ``None`` if it is not.
        series: The glob pattern that matched the model; ``None`` if it was named directly.
        compare: The baseline that it is compared with.
        strict: Whether it fails if it is inconclusive.
    """

    measurement: Measurement
    limits: dict[str, Any]
    order: list[Any]
    expected: str | None = None
    series: str | None = None
    compare: str | None = None
    strict: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """The model and dataset."""
        return self.measurement.model, self.measurement.dataset


class Summary:
    """The measurements of a session: one per model and dataset, in the order given."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], dict[str, Entry]] = {}
        self.remarks: list[str] = []
        self.problems: list[str] = []
        self.reports: list[str] = []

    def add(self, reported: dict[str, Any]) -> None:
        """Add a measurement; for equal limits, a verdict with adjusted p-value takes precedence.

        Args:
            reported: An :class:`Entry` as JSON.
        """
        from exleak.records import Measurement, from_json

        raw = reported["measurement"]
        verdicts = self.entries.setdefault((raw["model"], raw["dataset"]), {})
        known = verdicts.get(repr(reported["limits"]))
        # Every test of a class sends the same measurement: it is read once, or once more if
        # adjusted.
        if known is not None and (
            raw["verdict"]["adjusted_p_value"] is None
            or known.measurement.verdict.adjusted_p_value is not None
        ):
            return
        measurement = from_json(Measurement, raw)
        verdicts[repr(reported["limits"])] = Entry(**{**reported, "measurement": measurement})

    @property
    def ordered(self) -> list[Entry]:
        """The entries in the order given; of tests with different limits, the worst verdict."""
        worst = [max(verdicts.values(), key=_severity) for verdicts in self.entries.values()]
        return sorted(worst, key=lambda entry: entry.order)

    @property
    def measurements(self) -> list[Measurement]:
        """The measurements in the order given."""
        return [entry.measurement for entry in self.ordered]

    def close(self, config: pytest.Config, exitstatus: int) -> None:
        """Mark worse checkpoints, write reports and save baselines."""
        self._compare_checkpoints()
        session = settings.resolve(config)
        if session.store != "none":
            self._compare_last_runs(config, root(config) / session.store)
        self._write(session.report)
        runs = Path(session.store) / "runs"
        if self.entries and session.store != "none" and (root(config) / runs).is_dir():
            self.remarks.append(f"generations files: {runs} (to read them: exleak view)")
        folder = root(config) / session.baselines
        if session.save is not None:
            self._save(folder, session.save, self.ordered, exitstatus)
        for name in self._first_runs(folder):
            if name != session.save:
                of_name = [entry for entry in self.ordered if entry.compare == name]
                self._save(folder, name, of_name, exitstatus)

    def _compare_last_runs(self, config: pytest.Config, folder: Path) -> None:
        """Hold models without a baseline against their last run, and keep this one as such."""
        from exleak.gate.last_run import compared, keep
        from exleak.store import Store

        store, reasons = Store(folder), []
        for entry in self.ordered:
            measurement = entry.measurement
            of = models.identity(config, measurement.model)
            if entry.compare is None:
                last, reason = compared(store, measurement, of)
                self._replace(entry, replace(measurement, last_run=last))
                reasons += [reason] if reason else []
            keep(store, measurement, of)
        if reasons:
            self.remarks.append(f"no Δ to the last run: {reasons[0]}")

    def _replace(self, entry: Entry, measurement: Measurement) -> None:
        self.entries[entry.key][repr(entry.limits)] = replace(entry, measurement=measurement)

    def _write(self, paths: Sequence[str]) -> None:
        from exleak.reports import write_report

        # A run in which nothing changed leaves the same report as the one before.
        found = [
            replace(one, last_run=None) if one.last_run and not one.last_run.delta else one
            for one in self.measurements
        ]
        for path in paths:
            try:
                write_report(Path(path), found)
            except OSError as error:
                self.problems.append(f"report {path} NOT written: {error.strerror or error}")
                continue
            self.reports.append(path)
            self.remarks.append(f"report: {path}")

    def _first_runs(self, folder: Path) -> list[str]:
        """Names of requested baselines that have no run yet."""
        from exleak.gate.baselines import is_name, runs

        names = {entry.compare for entry in self.ordered if entry.compare is not None}
        return sorted(name for name in names if is_name(name) and not runs(folder, name))

    def _save(self, folder: Path, name: str, entries: Iterable[Entry], exitstatus: int) -> None:
        from exleak.gate.baselines import save

        found = [entry.measurement for entry in entries]
        unusable = [m.model for m in found if m.verdict.outcome == "unusable"]
        cut_short = exitstatus not in (0, 1, NOT_MEASURED, INCONCLUSIVE)
        if unusable or cut_short:
            reason = f"{', '.join(unusable)} unusable" if unusable else "the run was cut short"
            self.problems.append(f"baseline {name} NOT saved: {reason}")
            return
        try:
            path = save(folder, name, found)
        except OSError as error:
            self.problems.append(f"baseline {name} NOT saved: {error.strerror or error}")
            return
        self.remarks.append(f"baseline saved: {path} (commit it, so that later runs compare)")

    def _compare_checkpoints(self) -> None:
        """Mark, in each series, the first checkpoint that is worse than the start."""
        from exleak.errors import ComparisonError
        from exleak.gate.comparison import compared_metric
        from exleak.gate.series import series

        groups: dict[tuple[str, str, Compared], list[Entry]] = {}
        for entry in self.ordered:
            if entry.series is not None:
                compared = compared_metric(entry.limits["metric"])
                key = (entry.series, entry.measurement.dataset, compared)
                groups.setdefault(key, []).append(entry)
        for (_, _, metric), group in groups.items():
            if len(group) < _SERIES:
                continue
            try:
                steps = series([entry.measurement for entry in group], metric=metric)
            except ComparisonError as error:
                self.problems.append(str(error))
                continue
            for entry, step in zip(group, steps, strict=True):
                self._replace(entry, replace(entry.measurement, series=step))


def _severity(entry: Entry) -> int:
    from exleak.gate.rules import SEVERITY

    outcome = entry.measurement.verdict.outcome
    return -1 if outcome is None else SEVERITY.index(outcome)


def show(terminal: Any, summary: Summary) -> None:
    """Print the table, the series, remarks, inconclusive results and next steps.

    With ``-q`` only the table and what went wrong.
    """
    from exleak.reports.layout import layout
    from exleak.reports.terminal import fitted, next_steps, series_lines

    terminal.section("expression leakage", bold=True)
    expected = {entry.key for entry in summary.ordered if entry.expected}
    session = settings.resolve(terminal.config)
    chosen = layout(session.columns, session.sort, session.group_by)
    width = terminal._tw.fullwidth if terminal.isatty else None
    lines, shown = fitted(summary.measurements, expected, chosen, width)
    for line, outcome in lines:
        terminal.write_line(line, **_COLOURS.get(outcome, {}))
    for problem in summary.problems:
        terminal.write_line(problem, yellow=True)
    if terminal.verbosity < 0:
        return
    for line, is_worse in series_lines(summary.measurements):
        terminal.write_line(line, red=is_worse)
    if any(column.place == "last_run.delta" for column in shown.columns or ()):
        terminal.write_line(_LAST_RUN)
    for remark in summary.remarks:
        terminal.write_line(remark)
    for line in next_steps(summary.measurements, expected, has_report=bool(summary.reports)):
        terminal.write_line(line)
    if shown.is_cut:
        terminal.write_line("more columns: a wider terminal, or --leakage-columns NAMES")


_LAST_RUN = "Δ last run: directional rate less that of the model's run before; judges nothing"
_COLOURS: dict[str | None, dict[str, bool]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "unusable": {"red": True},
    "inconclusive": {"yellow": True},
    "expected": {"yellow": True},
    "heading": {"bold": True},
}
