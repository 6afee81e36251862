"""Reports of measurements, with a registry of report kinds; JSON is the published format.

A new kind is a module with ``render(measurements) -> str``, and a line in :data:`KINDS`.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from exleak.errors import ReportError
from exleak.files import write_text
from exleak.records import Measurement
from exleak.store.report import SCHEMA, as_report, read_measurements, read_report

__all__ = [
    "KINDS",
    "SCHEMA",
    "Kind",
    "as_report",
    "kind_of",
    "read_measurements",
    "read_report",
    "render",
    "write_report",
]


class Kind(NamedTuple):
    """A kind of report: the suffix of its files, and the module that renders it."""

    suffix: str
    module: str


KINDS: dict[str, Kind] = {
    "json": Kind(".json", "exleak.store.report"),
    "md": Kind(".md", "exleak.reports.markdown"),
    "html": Kind(".html", "exleak.reports.html"),
    "csv": Kind(".csv", "exleak.reports.csv"),
    "latex": Kind(".tex", "exleak.reports.latex"),
    "gitlab": Kind(".codequality.json", "exleak.reports.gitlab"),
}


def render(kind: str, measurements: Sequence[Measurement]) -> str:
    """Render a report of one of the :data:`KINDS` as text."""
    text: str = import_module(KINDS[kind].module).render(measurements)
    return text


def kind_of(path: Path) -> str:
    """The kind of a report, from its suffix, of which the longest known one counts.

    Raises:
        ReportError: The suffix is unknown.
    """
    fitting = [name for name, kind in KINDS.items() if path.name.endswith(kind.suffix)]
    if path.suffix and fitting:
        return max(fitting, key=lambda name: len(KINDS[name].suffix))
    known = ", ".join(kind.suffix for kind in KINDS.values())
    raise ReportError(f"report {path}: the suffix must be one of {known}")


def write_report(path: Path, measurements: Sequence[Measurement]) -> None:
    """Write a report atomically; the suffix selects its kind.

    Raises:
        ReportError: The suffix is unknown.
    """
    write_text(path, render(kind_of(path), measurements))
