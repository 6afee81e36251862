"""Files: written in one piece, lines of JSON, and CSV that is safe in a spreadsheet.

A spreadsheet runs a cell that begins like a formula, quoted or not. Such cells get a leading
apostrophe, as OWASP's page on CSV injection advises; :func:`restore` takes it off again.
"""

from __future__ import annotations

import csv
import io
import json
import os
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from exleak.errors import DatasetError, SettingsError

#: What a formula may begin with; the full-width signs count where the locale is East Asian.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
#: A real apostrophe is marked too, so that restoring is exact.
_MARKED = (*_FORMULA, "'")


def write_text(path: Path, text: str) -> None:
    """Write a file in one piece: readers see the old or the new text, never half of one.

    Lone surrogates, which a model's bytes can decode to, are written as escapes.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.parent / f".tmp-{uuid.uuid4().hex}"
    try:
        # Not a file of tempfile's: those are for their owner's eyes only, reports are not.
        with part.open("x", encoding="utf-8", errors="backslashreplace", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def check_file(path: Path) -> None:
    """Refuse, before the work for it is done, a path that no file can be written to.

    Raises:
        SettingsError: It is a folder, or its folder can be neither written to nor made.
    """
    if path.is_dir():
        raise SettingsError(f"{path}: this is a folder; give the name of a file")
    check_folder(path.parent)


def check_folder(folder: Path) -> None:
    """Refuse, before the work for it is done, a folder that cannot be written to.

    Raises:
        SettingsError: A file is in its place or in that of a folder above it, or the nearest
            folder that exists may not be written to.
    """
    place = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not place.is_dir():
        raise SettingsError(f"{folder}: {place} is a file, not a folder; give another name")
    if not os.access(place, os.W_OK):
        raise SettingsError(f"{folder}: {place} may not be written to; give another name")


def object_in(line: str, where: str) -> dict[str, Any]:
    """The JSON object of a line.

    Args:
        line: The line.
        where: File and line, for errors.

    Raises:
        DatasetError: It is none, or names a field twice, of which JSON readers keep the last.
    """
    try:
        value = json.loads(line, object_pairs_hook=_with_each_name_once)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error}); one JSON object a line") from None
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: a JSON object is expected, not {type(value).__name__}")
    return value


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} is there twice")
    return found


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
