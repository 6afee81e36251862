"""The rates as CSV for spreadsheets and data frames, one measurement per line."""

from __future__ import annotations

from collections.abc import Sequence

from exleak.files import to_csv
from exleak.records import Measurement
from exleak.reports.columns import COLUMNS, lookup
from exleak.reports.formatting import printable

_NAMES = ("model", "dataset", "instrument")


def render(measurements: Sequence[Measurement]) -> str:
    """Render CSV with numbers in full precision; no cell is a formula."""
    columns = [column for column in COLUMNS if column.name is not None]
    rows = [[*_NAMES, *(column.name or "" for column in columns)]]
    for measurement in measurements:
        texts = [printable(getattr(measurement, name), 500) for name in _NAMES]
        rows.append([*texts, *(_cell(measurement, column.place) for column in columns)])
    return to_csv(rows)


def _cell(measurement: Measurement, place: str) -> str:
    value = lookup(measurement, place)
    return "" if value is None else printable(str(value), 500)
