"""What a session measured: collected, written to reports, shown at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any


class Summary:
    """The measurements of a session, one per model and dataset, in the order asked for."""

    def __init__(self) -> None:
        self.entries: dict[tuple[str, str], dict[str, Any]] = {}
        self.written: list[str] = []

    def add(self, entry: dict[str, Any]) -> None:
        """Keep a measurement; the tests of one model all bring the same."""
        found = entry["measurement"]
        self.entries[found["model"], found["dataset"]] = entry

    @property
    def measurements(self) -> list[dict[str, Any]]:
        """The measurements as JSON-ready builtins."""
        entries = sorted(self.entries.values(), key=lambda entry: entry["order"])
        return [entry["measurement"] for entry in entries]

    def write(self, paths: Sequence[str]) -> None:
        """Write the reports that were asked for."""
        from exleak.reports import write_report

        for path in paths:
            write_report(Path(path), self.measurements)
            self.written.append(path)


def show(terminal: Any, summary: Summary) -> None:
    """Print the table, what is inconclusive, and what to type next."""
    from exleak.reports.text import next_steps, table

    terminal.section("expression leakage", bold=True)
    expected = {key for key, entry in summary.entries.items() if entry["expected"]}
    for line, outcome in table(summary.measurements, expected):
        terminal.write_line(line, **_COLOURS.get(outcome, {}))
    for path in summary.written:
        terminal.write_line(f"report: {path}")
    reported = bool(summary.written)
    for line in next_steps(summary.measurements, expected, has_report=reported):
        terminal.write_line(line)


_COLOURS: dict[str | None, dict[str, bool]] = {
    "pass": {"green": True},
    "fail": {"red": True},
    "unusable": {"red": True},
    "inconclusive": {"yellow": True},
    "heading": {"bold": True},
}
