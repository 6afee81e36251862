"""Readers for the records of a part: text, JSON lines, CSV, TSV, Parquet, hub datasets."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import re
import sys
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO, Any

from exleak.aexl.wrapped import paragraphs
from exleak.errors import DatasetError, SettingsError
from exleak.files import library
from exleak.hub import within_reach

#: A record's text, the reason if it has none, and the bytes of the part read so far.
Record = tuple[str, str | None, int]

FORMATS = ("text", "jsonl", "csv", "tsv", "parquet")
SUFFIXES = {
    ".txt": "text", ".text": "text", ".md": "text", ".jsonl": "jsonl", ".ndjson": "jsonl",
    ".json": "jsonl", ".csv": "csv", ".tsv": "tsv", ".parquet": "parquet",
}  # fmt: skip
#: Longest cell of CSV, in characters.
_CELL = 1 << 27
_DELIMITERS = ",;\t|"
_COMPRESSED = (".gz", ".bz2", ".xz", ".zst")
_MAGIC = {
    b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstandard",
    b"PK\x03\x04": "zip", b"%PDF": "PDF", b"PAR1": "Parquet",
    b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16",
}  # fmt: skip
#: Longest line read at once, in characters, because a file may have no line breaks.
_LINE = 1 << 20


@dataclass(frozen=True)
class Reading:
    """Settings for reading sources.

    Attributes:
        column: The column or field with the text; ``None`` takes ``text``, or the only one.
        format: One of :data:`FORMATS`; ``None`` decides by the suffix.
        encoding: Encoding of text, JSONL, CSV and TSV.
        split: Split of a hub dataset.
        config: Configuration of a hub dataset.
    """

    column: str | None = None
    format: str | None = None
    encoding: str = "utf-8-sig"
    split: str = "train"
    config: str | None = None

    def __post_init__(self) -> None:
        if self.format is not None and self.format not in FORMATS:
            raise SettingsError(f"unknown format {self.format!r}: give one of {', '.join(FORMATS)}")
        try:
            "".encode(self.encoding)
        except LookupError:
            raise SettingsError(f"unknown encoding {self.encoding!r}") from None


@dataclass(frozen=True)
class Part:
    """A file, a stream or a hub dataset, read sequentially.

    Attributes:
        kind: ``"file"``, ``"stdin"`` or ``"hub"``.
        name: A path, or a name on the hub.
        size: Size in bytes, 0 if unknown.
    """

    kind: str
    name: str
    size: int = 0


def format_of(path: Path) -> str | None:
    """The format by a file's suffix, ignoring compression; ``None`` if it is unknown."""
    if path.suffix.lower() in _COMPRESSED:
        path = path.with_suffix("")
    return SUFFIXES.get(path.suffix.lower())


def records(part: Part, reading: Reading) -> Iterator[Record]:
    """Every record of a part, in order.

    Raises:
        DatasetError: The part cannot be read in its format.
    """
    if part.kind == "hub":
        return _hub(part, reading)
    if part.kind == "stdin":
        return _lines(sys.stdin.buffer, lambda: 0, "standard input", reading.format, reading)
    return _file(part, reading)


def _file(part: Part, reading: Reading) -> Iterator[Record]:
    path = Path(part.name)
    kind = reading.format or format_of(path)
    if kind == "parquet":
        yield from _parquet(part, reading)
        return
    try:
        with path.open("rb") as raw, _decompressed(raw, path) as plain:
            stream = io.BufferedReader(plain)
            _check(stream.peek(1 << 16)[: 1 << 16], part.name, reading.encoding)
            yield from _lines(stream, raw.tell, part.name, kind, reading)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error) as error:
        raise DatasetError(f"{path}: a damaged compressed file ({error})") from None
    except IsADirectoryError:
        raise DatasetError(f"{path}: a folder, not a file") from None
    except OSError as error:
        if error.errno is not None:
            raise
        raise DatasetError(f"{path}: a damaged compressed file ({error})") from None


def _decompressed(raw: IO[bytes], path: Path) -> Any:
    openers: dict[str, Callable[..., Any]] = {
        ".gz": gzip.GzipFile, ".bz2": bz2.BZ2File, ".xz": lzma.LZMAFile,
    }  # fmt: skip
    suffix = path.suffix.lower()
    if suffix == ".zst":
        # Unlike the zstandard package, this reader detects a truncated file.
        return library("pyarrow", "a .zst file").CompressedInputStream(raw, "zstd")
    if suffix == ".gz":
        return gzip.GzipFile(fileobj=raw)
    return openers[suffix](raw) if suffix in openers else raw


def _check(start: bytes, name: str, encoding: str) -> None:
    """Check that the first bytes of a file are text in the encoding.

    Raises:
        DatasetError: They are those of a binary file.
    """
    is_wide = encoding.lower().replace("_", "-").startswith(("utf-16", "utf-32", "utf16", "utf32"))
    for magic, kind in _MAGIC.items():
        if is_wide and kind == "UTF-16":
            continue
        if start.startswith(magic):
            raise DatasetError(
                f"{name}: this is {kind}, not {_plain(encoding)} text; give the file the suffix of "
                "its format, its --encoding, or convert it"
            )
    if b"\0" in start and not is_wide:
        raise DatasetError(f"{name}: a binary file, not text")


def _plain(encoding: str) -> str:
    return "UTF-8" if encoding == "utf-8-sig" else encoding


def _lines(
    stream: IO[bytes], tell: Callable[[], int], name: str, kind: str | None, reading: Reading
) -> Iterator[Record]:
    newline = "" if kind in ("csv", "tsv") else None
    text = io.TextIOWrapper(stream, reading.encoding, errors="replace", newline=newline)
    try:
        lines = iter(lambda: text.readline(_LINE), "")
        if kind == "jsonl":
            yield from _json(lines, tell, name, reading)
        elif kind in ("csv", "tsv"):
            yield from _rows(lines, tell, name, kind, reading)
        else:
            yield from ((text, None, tell()) for text in paragraphs(lines))
    finally:
        text.detach()


def _json(
    lines: Iterator[str], tell: Callable[[], int], name: str, reading: Reading
) -> Iterator[Record]:
    column = reading.column
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            if column is None or number == 1:
                raise DatasetError(
                    f"{name}, line {number}: not JSON ({error}); one JSON object a line is expected"
                ) from None
            yield "", "not JSON", tell()
            continue
        if not isinstance(value, dict):
            raise DatasetError(
                f"{name}, line {number}: one JSON object a line is expected, not a "
                f"{type(value).__name__}"
            )
        column = column or _column(value, name, reading)
        if number == 1:
            _column(value, name, reading)
        yield (*_field(value, column), tell())


def _rows(
    lines: Iterator[str], tell: Callable[[], int], name: str, kind: str, reading: Reading
) -> Iterator[Record]:
    quoting: Any = csv.QUOTE_NONE if kind == "tsv" else csv.QUOTE_MINIMAL
    limit = csv.field_size_limit(_CELL)
    try:
        head = next(lines, "")
        delimiter = "\t" if kind == "tsv" else _delimiter(head, reading)
        if head.strip("\r\n").lower() == f"sep={delimiter}":
            head = next(lines, "")
        rows: csv.DictReader[str] = csv.DictReader(
            chain([head], lines), delimiter=delimiter, quoting=quoting
        )
        if rows.fieldnames is None:
            return
        column = _column(dict.fromkeys(rows.fieldnames), name, reading)
        for row in rows:
            yield (*_field(row, column), tell())
    except csv.Error as error:
        raise DatasetError(f"{name}, line {rows.line_num}: not {kind.upper()}: {error}") from None
    finally:
        csv.field_size_limit(limit)


def _delimiter(head: str, reading: Reading) -> str:
    """The column delimiter; many countries' spreadsheet programs write semicolons.

    Such programs may name it in a line ``sep=;`` before the header.
    """
    if head[:4].lower() == "sep=" and (named := head[4:].strip("\r\n")) in tuple(_DELIMITERS):
        return named
    for delimiter in _DELIMITERS:
        if (reading.column or "text") in next(csv.reader([head], delimiter=delimiter), []):
            return delimiter
    plain = re.sub(r'"[^"]*"', "", head)
    return max(_DELIMITERS, key=plain.count)


def _parquet(part: Part, reading: Reading) -> Iterator[Record]:
    parquet = library("pyarrow.parquet", "a Parquet file")
    arrow = library("pyarrow", "a Parquet file")
    try:
        with parquet.ParquetFile(part.name) as file:
            column = _column(dict.fromkeys(file.schema_arrow.names), part.name, reading)
            done, rows = 0, max(1, file.metadata.num_rows)
            for batch in file.iter_batches(1024, columns=[column]):
                done += batch.num_rows
                for value in batch.column(0).to_pylist():
                    yield (*_field({column: value}, column), part.size * done // rows)
    except (arrow.ArrowException, OSError) as error:
        if getattr(error, "errno", None) is not None:
            raise
        raise DatasetError(f"{part.name}: not a Parquet file, or damaged ({error})") from None


def _hub(part: Part, reading: Reading) -> Iterator[Record]:
    datasets = library("datasets", "a dataset of the hub")
    try:
        with within_reach(part.name):
            rows = datasets.load_dataset(
                part.name, reading.config, split=reading.split, streaming=True
            )
        column = None
        for row in rows:
            column = column or _column(row, part.name, reading)
            yield (*_field(row, column), 0)
    except DatasetError:
        raise
    except Exception as error:  # the library passes on any exception of loaders and network
        raise DatasetError(
            f"hub:{part.name}, split {reading.split!r}: cannot be read "
            f"({type(error).__name__}: {error})"
        ) from error


def _column(row: Mapping[str, Any], name: str, reading: Reading) -> str:
    """The name of the column with the text.

    Raises:
        DatasetError: There is no such column, or the choice is ambiguous.
    """
    names = [str(key) for key in row]
    wanted = reading.column or ("text" if "text" in names or len(names) != 1 else names[0])
    if wanted in names:
        return wanted
    raise DatasetError(
        f"{name}: no column {wanted!r}; it has {', '.join(names) or 'none'}: name one with --column"
    )


def _field(row: Mapping[str, Any], column: str) -> tuple[str, str | None]:
    value = row.get(column)
    return (value, None) if isinstance(value, str) else ("", "no text")
