"""Reads answer files line by line: JSON from the page, JSON lines, and CSV of spreadsheets."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exleak.errors import DatasetError
from exleak.files import csv_rows, read_text, restore

_DELIMITERS = ",;\t"
_REQUIRED = ("export", "item")


@dataclass(frozen=True)
class Line:
    """One item's line in an answer file.

    Attributes:
        where: File and line, for messages.
        export, item: Ids of the export and the item.
        annotator: Name in the file, or else the file's name without suffix.
        fields: All fields as text; ``None`` and blanks are empty.
    """

    where: str
    export: str
    item: str
    annotator: str
    fields: dict[str, str]


def read_lines(path: Path) -> Iterator[Line]:
    """Read the lines of an answer file; its suffix selects the format.

    Raises:
        DatasetError: The file cannot be read in this format.
    """
    readers = {".json": _json, ".jsonl": _json_lines, ".csv": _csv, ".tsv": _csv, ".txt": _csv}
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise DatasetError(f"{path}: answers are .json, .jsonl or .csv files")
    for number, fields in reader(read_text(path), path):
        where = f"{path}, line {number}" if number else str(path)
        for name in _REQUIRED:
            if not fields.get(name):
                raise DatasetError(f"{where}: field {name!r} is missing or empty")
        name = fields.get("annotator") or path.stem
        yield Line(where, fields["export"], fields["item"], name, fields)


def _json(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    value = _loaded(text, str(path))
    answers = value.get("answers") if isinstance(value, dict) else None
    if not isinstance(answers, list):
        raise DatasetError(f"{path}: an object with a list 'answers' is expected")
    shared = {name: value.get(name) for name in ("export", "annotator")}
    # Quotes inside JSON strings are escaped, so this matches keys only.
    keys = [match.start() for match in re.finditer(r'"item"\s*:', text)]
    numbers = [text.count("\n", 0, start) + 1 for start in keys]
    for index, answer in enumerate(answers):
        number = numbers[index] if len(numbers) == len(answers) else 0
        where = f"{path}, line {number}" if number else f"{path}, answer {index + 1}"
        yield number, _fields({**shared, **_object(answer, where)}, where)


def _json_lines(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield number, _fields(_object(_loaded(line, where), where), where)


def _csv(text: str, path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    header: list[str] | None = None
    for number, row in csv_rows(text, path, _DELIMITERS):
        cells = [restore(cell).strip() for cell in row]
        if header is None:
            header = _header(cells, f"{path}, line {number}")
        elif len(cells) > len(header):
            raise DatasetError(
                f"{path}, line {number}: {len(cells)} cells under {len(header)} headings"
            )
        else:
            yield number, dict(zip(header, cells, strict=False))


def _header(cells: list[str], where: str) -> list[str]:
    names = [cell.casefold() for cell in cells]
    for name in _REQUIRED:
        if names.count(name) != 1:
            raise DatasetError(f"{where}: one column {name!r} is expected; keep the first line")
    return names


def _loaded(text: str, where: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error})") from None


def _object(value: object, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: a JSON object is expected, not {type(value).__name__}")
    return value


def _fields(value: dict[str, Any], where: str) -> dict[str, str]:
    fields = {}
    for name, cell in value.items():
        if cell is not None and not isinstance(cell, str):
            raise DatasetError(f"{where}: field {name!r} must be a text or null, not {cell!r}")
        fields[name] = (cell or "").strip()
    return fields
