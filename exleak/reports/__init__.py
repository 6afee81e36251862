"""Reports of measurements: JSON to the published contract, and what people read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exleak.environment import version
from exleak.errors import ReportError
from exleak.reports.contract import SCHEMA, read_report
from exleak.store.files import write_text

__all__ = [
    "SCHEMA",
    "as_json",
    "as_report",
    "kind_of",
    "read_report",
    "render",
    "write_report",
]

_KINDS = {".json": "json", ".md": "md", ".html": "html", ".csv": "csv", ".tex": "latex"}


def as_report(measurements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A report: what :meth:`exleak.Measurement.to_json` gives, under a versioned head."""
    return {"schema": SCHEMA, "exleak": version(), "measurements": list(measurements)}


def as_json(measurements: Sequence[dict[str, Any]]) -> str:
    """A report as text; undefined numbers are null."""
    return json.dumps(as_report(measurements), indent=1, allow_nan=False) + "\n"


def render(kind: str, measurements: Sequence[dict[str, Any]]) -> str:
    """A report as text: ``"json"``, ``"html"``, ``"md"``, ``"csv"`` or ``"latex"``."""
    if kind == "html":
        from exleak.reports.html import html

        return html(measurements)
    if kind == "md":
        from exleak.reports.markdown import markdown

        return markdown(measurements)
    if kind == "json":
        return as_json(measurements)
    from exleak.reports import tables

    return tables.latex(measurements) if kind == "latex" else tables.csv(measurements)


def kind_of(path: Path) -> str:
    """The kind of a report, from its suffix.

    Raises:
        ReportError: A suffix that no kind has.
    """
    if path.suffix not in _KINDS:
        raise ReportError(f"report {path}: the suffix must be one of {', '.join(_KINDS)}")
    return _KINDS[path.suffix]


def write_report(path: Path, measurements: Sequence[dict[str, Any]]) -> None:
    """Write a report in one piece; its kind follows from the suffix.

    Raises:
        ReportError: A suffix that no kind has.
    """
    write_text(path, render(kind_of(path), measurements))
