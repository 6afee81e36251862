"""JSON reports: writing measurements to a file and reading them back.

``schema.json`` is the published schema of the file. :class:`exleak.records.Measurement` is its
equivalent in Python; a test compares the two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from exleak.environment import version
from exleak.errors import ReportError
from exleak.records import Measurement, from_json
from exleak.store.schema import problems

#: Version of the report's format.
SCHEMA = 1


def as_report(measurements: Sequence[Measurement]) -> dict[str, Any]:
    """A report as builtins: the measurements with the schema and exleak versions."""
    return {
        "schema": SCHEMA,
        "exleak": version(),
        "measurements": [measurement.to_json() for measurement in measurements],
    }


def render(measurements: Sequence[Measurement]) -> str:
    """A report as text; undefined numbers are null."""
    return json.dumps(as_report(measurements), indent=1, allow_nan=False) + "\n"


def read_measurements(path: str | Path) -> tuple[Measurement, ...]:
    """Read the measurements of a report and check them.

    Raises:
        ReportError: As in :func:`read_report`.
    """
    report = _read(Path(path))
    return tuple(from_json(Measurement, item) for item in report["measurements"])


def read_report(path: str | Path) -> dict[str, Any]:
    """Read a report and check it.

    Args:
        path: A JSON report of ``--leakage-report``, ``exleak score --json`` or
            :func:`exleak.reports.write_report`.

    Returns:
        The whole report as builtins; ``["measurements"]`` is a list of results of
        :meth:`exleak.Measurement.to_json`. Optional keys that an older report lacks are added,
        with empty values.

    Raises:
        ReportError: The file cannot be read, is not JSON, has another version, or a value is
            missing or invalid; the message names the place in the file.
    """
    report = _read(Path(path))
    read = [from_json(Measurement, item) for item in report["measurements"]]
    return {**report, "measurements": [measurement.to_json() for measurement in read]}


def _read(path: Path) -> dict[str, Any]:
    report = _load(path)
    if not isinstance(report, dict) or "schema" not in report:
        raise ReportError(f"{path}: not an exleak report: it has no 'schema'")
    if report["schema"] != SCHEMA:
        raise ReportError(
            f"{path}: schema {report['schema']!r} is not {SCHEMA}, which this version of exleak "
            f"reads; the report was written by exleak {report.get('exleak', 'unknown')}"
        )
    if problem := next(problems(report), None):
        raise ReportError(f"{path}: {problem}")
    return report


def _load(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ReportError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise ReportError(f"{path}: not UTF-8 text ({error}); give a JSON report") from None
    try:
        return json.loads(text, parse_float=_finite, parse_int=_whole, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise ReportError(f"{path}: not JSON ({error}); give a JSON report") from None


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant:.40} is no finite number")


def _finite(text: str) -> float:
    """Parse a number; one that overflows a float, such as 1e999, is rejected like NaN."""
    return value if math.isfinite(value := float(text)) else _refuse(text)


def _whole(text: str) -> int:
    _finite(text)
    return int(text)
