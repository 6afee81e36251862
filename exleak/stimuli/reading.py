"""Reads rated or labelled sentences from CSV, TSV or JSONL."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exleak.errors import DatasetError
from exleak.files import csv_rows, object_in, read_text
from exleak.surrogates import has_surrogates

#: What a label may be called, ignoring case, and its class.
LABELS = {
    "positive": "positive", "neutral": "neutral", "negative": "negative",
    "pos": "positive", "neu": "neutral", "neg": "negative",
}  # fmt: skip

#: How many repeated lines an error names.
_SHOWN = 8

#: A row: the line that it begins in, and its cells by column.
Row = tuple[int, dict[str, str]]


@dataclass(frozen=True)
class Columns:
    """The names of the columns; ``None`` takes the usual ones.

    Attributes:
        sentence: By default ``sentence`` or ``text``.
        valence: A number, or one of :data:`LABELS`; by default ``valence`` or ``label``.
        id: By default ``id`` if there is one, else the number of the line.
        intensity: A number, or blank where it is unknown; by default ``intensity`` if there is one.
    """

    sentence: str | None = None
    valence: str | None = None
    id: str | None = None
    intensity: str | None = None


@dataclass(frozen=True)
class Stimulus:
    """A sentence with its norms.

    Attributes:
        id: Its id in the file, or else its line.
        sentence: The sentence, on one line.
        valence: Its rating, or its class if the file has labels.
        intensity: Its intensity, if known.
    """

    id: str
    sentence: str
    valence: float | str
    intensity: float | None = None


def read_stimuli(path: Path, columns: Columns) -> list[Stimulus]:
    """Read every stimulus of a file; its suffix selects the format.

    Raises:
        DatasetError: The file cannot be read in its format, lacks a column, or has an invalid row;
            the message names file and line.
    """
    names, rows = _table(path)
    sentence = _column(names, columns.sentence, ("sentence", "text"), "sentence", path)
    valence = _column(names, columns.valence, ("valence", "label"), "valence", path)
    id_ = _column(names, columns.id, ("id",), "id", path, is_optional=True)
    strength = _column(
        names, columns.intensity, ("intensity",), "intensity", path, is_optional=True
    )
    labelled = any(cells.get(valence, "").casefold() in LABELS for _, cells in rows)
    stimuli = []
    for line, cells in rows:
        where = f"{path}, line {line}"
        grade = cells.get(valence, "")
        blank = strength == "" or not cells.get(strength)
        stimuli.append(
            Stimulus(
                id=_text(cells, id_, where) if id_ else str(line),
                sentence=_text(cells, sentence, where),
                valence=_label(grade, valence, where)
                if labelled
                else _number(grade, valence, where),
                intensity=None if blank else _number(cells[strength], strength, where),
            )
        )
    _check_distinct(stimuli, [line for line, _ in rows], path)
    return stimuli


def _table(path: Path) -> tuple[list[str], list[Row]]:
    """The names of the columns, and the rows with stripped cells."""
    suffix = path.suffix.lower()
    if suffix not in (".csv", ".tsv", ".jsonl"):
        raise DatasetError(f"{path}: stimuli are a .csv, .tsv or .jsonl file, by its suffix")
    text = read_text(path)
    rows = list(_json_lines(text, path) if suffix == ".jsonl" else _cells(text, path, suffix))
    if not rows:
        raise DatasetError(f"{path}: no stimuli in it")
    return list(dict.fromkeys(name for _, cells in rows for name in cells)), rows


def _json_lines(text: str, path: Path) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            value = object_in(line, f"{path}, line {number}")
            yield number, {name: _cell(cell) for name, cell in value.items()}


def _cell(value: Any) -> str:
    return "" if value is None else " ".join(str(value).split())


def _cells(text: str, path: Path, suffix: str) -> Iterator[Row]:
    table = csv_rows(text, path, "\t" if suffix == ".tsv" else ",;", is_quoted=suffix == ".csv")
    _, head = next(table, (1, []))
    names = [name.strip() for name in head]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"{path}: two columns are called {twice[0]!r}; rename one")
    for line, cells in table:
        if len(cells) != len(names):
            raise DatasetError(
                f"{path}, line {line}: {len(cells)} cells under {len(names)} headings; in CSV, a "
                "sentence with a separator in it needs quotation marks"
            )
        yield line, dict(zip(names, map(_cell, cells), strict=True))


def _column(
    names: Sequence[str],
    given: str | None,
    usual: tuple[str, ...],
    what: str,
    path: Path,
    *,
    is_optional: bool = False,
) -> str:
    """The name of a column; empty if an optional one is neither given nor there.

    Raises:
        DatasetError: There is no such column.
    """
    wanted = usual if given is None else (given,)
    found = next((name for name in wanted if name in names), "")
    if not found and not (is_optional and given is None):
        raise DatasetError(
            f"{path}: no column {' or '.join(map(repr, wanted))}; it has {', '.join(names)}: name "
            f"one with --{what}-column"
        )
    return found


def _text(cells: dict[str, str], column: str, where: str) -> str:
    text = cells.get(column, "")
    if not text:
        raise DatasetError(f"{where}: column {column!r} is empty; fill it in, or remove the line")
    if has_surrogates(text):
        raise DatasetError(f"{where}: column {column!r} holds half of a character: {text!r:.80}")
    return text


def _number(cell: str, column: str, where: str) -> float:
    try:
        number = float(cell)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise DatasetError(
            f"{where}: column {column!r} must hold a number such as 3.5, not {cell!r:.80}"
        )
    return number


def _label(cell: str, column: str, where: str) -> str:
    if cell.casefold() not in LABELS:
        raise DatasetError(
            f"{where}: column {column!r} holds labels, but {cell!r:.80} is none of "
            f"{', '.join(LABELS)}"
        )
    return LABELS[cell.casefold()]


def _check_distinct(stimuli: Sequence[Stimulus], lines: Sequence[int], path: Path) -> None:
    """Check that no id and, ignoring case, no sentence is there twice."""
    for what, keys in (
        ("id", [item.id for item in stimuli]),
        ("sentence", [item.sentence.casefold() for item in stimuli]),
    ):
        first: dict[str, int] = {}
        again = [
            f"{line} (as in {earlier})"
            for key, line in zip(keys, lines, strict=True)
            if (earlier := first.setdefault(key, line)) != line
        ]
        if again:
            more = f" and {len(again) - _SHOWN} more" if len(again) > _SHOWN else ""
            raise DatasetError(
                f"{path}: the same {what} is there again in line "
                f"{', '.join(again[:_SHOWN])}{more}; remove the repeated lines"
            )
