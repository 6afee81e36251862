"""CSV that a spreadsheet cannot mistake for a program.

A spreadsheet runs a cell that begins like a formula, quoted or not. Such cells get a leading
apostrophe, as OWASP's page on CSV injection advises; :func:`restore` takes it off again.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

#: What a formula may begin with; the full-width signs count where the locale is East Asian.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A real apostrophe is marked too, so that restoring is exact.
_MARKED = (*_FORMULA, "'")


def neutralise(cell: str) -> str:
    """The cell with an apostrophe before it, if it begins like a formula."""
    return f"'{cell}" if cell.startswith(_MARKED) else cell


def restore(cell: str) -> str:
    """Undo :func:`neutralise`; any other cell stays as it is."""
    return cell[1:] if cell.startswith("'") and cell[1:].startswith(_MARKED) else cell


def to_csv(rows: Iterable[Sequence[str]]) -> str:
    """Rows as CSV: every cell quoted and neutralised, a byte order mark for Excel in front."""
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n").writerows(
        [neutralise(cell) for cell in row] for row in rows
    )
    return f"\ufeff{out.getvalue()}"
