"""Tables of prompts and generations: CSV, TSV, JSON lines and Parquet, with a map of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from exleak.errors import DatasetError
from exleak.files import csv_rows, library
from exleak.logs.chat import wordings
from exleak.logs.node import Node, lines
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "tables (CSV, TSV, JSON lines, Parquet)"

_PROMPT = ("prompt", "input")
_GENERATION = ("generation", "generations", "output", "response", "completion")


def recognises(head: Head) -> bool:
    """Any file of rows: what the readers of tools have not recognised."""
    return head.kind in ("parquet", "lines", "text")


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read a table.

    Raises:
        DatasetError: It cannot be read, lacks a column, or a cell is of another type.
    """
    rows = list(_rows(head))
    if not rows:
        raise DatasetError(f"{path}: no rows in it")
    names = list(dict.fromkeys(name for row in rows for name in row.value))
    id_ = columns.id or ("id" if "id" in names else None)
    needs_prompt = columns.prompt is not None or columns.id is None
    prompt = _column(names, columns.prompt, _PROMPT, "prompt", path) if needs_prompt else None
    cells = [
        _column(names, name, _GENERATION, "generation", path)
        for name in columns.generations or (None,)
    ]
    if columns.id is not None:
        _column(names, columns.id, (), "id", path)
    return Answers(tuple(_asked(row, prompt, cells, id_) for row in rows))


def _asked(row: Node, prompt: str | None, cells: Sequence[str], id_: str | None) -> Asked:
    named = row.get(id_) if id_ else None
    return Asked(
        row.where,
        wordings(row[prompt].text(), row.where) if prompt else (),
        tuple(text for name in cells for text in _texts(row, name)),
        None if named is None else str(named.value),
    )


def _texts(row: Node, name: str) -> list[str | None]:
    """A cell's text, or its list of texts; a cell without a value is a failed request."""
    cell = row.get(name)
    if cell is None:
        return [None]
    if isinstance(cell.value, list):
        return [None if item.value is None else item.text() for item in cell.items()]
    return [cell.text()]


def _column(
    names: Sequence[str], given: str | None, usual: tuple[str, ...], what: str, path: Path
) -> str:
    """The name of a column.

    Raises:
        DatasetError: There is no such column, or several may be meant.
    """
    found = [name for name in ((given,) if given is not None else usual) if name in names]
    if len(found) == 1:
        return found[0]
    has = f"it has {', '.join(names)}"[:200]
    wanted = " or ".join(map(repr, usual if given is None else (given,)))
    problem = f"no column {wanted}; {has}" if not found else f"columns {', '.join(found)}"
    raise DatasetError(
        f"{path}: {problem}: name one with --{what}-column (if this is no table, "
        "docs/other-tools.md lists the formats that are read)"
    )


def _rows(head: Head) -> Iterator[Node]:
    if head.kind == "parquet":
        return _parquet(head.path)
    return lines(head.text, head.path) if head.kind == "lines" else _csv(head)


def _csv(head: Head) -> Iterator[Node]:
    path = head.path
    table = csv_rows(head.text, path, ",;\t")
    _, heading = next(table, (1, []))
    names = [name.strip() for name in heading]
    if twice := [name for name in names if names.count(name) > 1]:
        raise DatasetError(f"{path}: two columns are called {twice[0]!r}; rename one")
    for line, cells in table:
        where = f"{path}, line {line}"
        if len(cells) != len(names):
            raise DatasetError(
                f"{where}: {len(cells)} cells under {len(names)} headings; a text with a separator "
                "or a line break in it needs quotation marks"
            )
        yield Node(dict(zip(names, cells, strict=True)), where)


def _parquet(path: Path) -> Iterator[Node]:
    parquet = library("pyarrow.parquet", f"{path}: a Parquet file")
    arrow = library("pyarrow", f"{path}: a Parquet file")
    try:
        with parquet.ParquetFile(path) as file:
            rows = file.read().to_pylist()
    except (arrow.ArrowException, OSError) as error:
        raise DatasetError(
            f"{path}: not a Parquet file, or damaged ({error}); write it again"
        ) from None
    for number, row in enumerate(rows, start=1):
        yield Node(row, f"{path}, row {number}")
