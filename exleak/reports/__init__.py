"""Reports of measurements: JSON to the published contract, text for terminals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from exleak.environment import version
from exleak.errors import ExleakError
from exleak.store.files import write_text

#: Version of the report's format.
SCHEMA = 1


def as_report(measurements: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A report: what :meth:`exleak.Measurement.to_json` gives, under a versioned head."""
    return {"schema": SCHEMA, "exleak": version(), "measurements": list(measurements)}


def as_json(measurements: Sequence[dict[str, Any]]) -> str:
    """A report as text; undefined numbers are null."""
    return json.dumps(as_report(measurements), indent=1, allow_nan=False) + "\n"


def write_report(path: Path, measurements: Sequence[dict[str, Any]]) -> None:
    """Write a report in one piece; its kind follows from the suffix.

    Raises:
        ExleakError: A suffix that no kind has.
    """
    if path.suffix != ".json":
        raise ExleakError(f"report {path}: the suffix must be .json")
    write_text(path, as_json(measurements))
