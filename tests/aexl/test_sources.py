"""Sources: every format gives the same sentences, and what cannot be read says so."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import sys
import textwrap
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path

import pytest

from exleak import DatasetError, SettingsError
from exleak.aexl import Reading
from exleak.aexl.formats import Part
from exleak.aexl.sources import Block, find_parts, read

TEXTS = ["The lamp was lit.", "Ein Satz – mit Umlaut: ü.", 'He said "one, two" twice.']


def texts(source: Path | str, reading: Reading | None = None) -> list[str]:
    """Every text of a source."""
    return [text.strip() for block in blocks(source, reading) for text in block.texts]


def blocks(source: Path | str, reading: Reading | None = None) -> list[Block]:
    """Every block of a source."""
    reading = reading or Reading()
    parts, _ = find_parts([source], reading)
    return [block for part in parts for block in read(part, reading)]


def as_jsonl(path: Path) -> None:
    """Write JSON lines with another field beside the text."""
    path.write_text("".join(f"{json.dumps({'id': 1, 'text': text})}\n" for text in TEXTS))


def as_csv(path: Path) -> None:
    """Write CSV, quoted where it must be."""
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["id", "text"], *(["1", text] for text in TEXTS)])


def as_parquet(path: Path) -> None:
    """Write Parquet."""
    import pyarrow as pa
    from pyarrow import parquet

    parquet.write_table(pa.table({"text": TEXTS, "score": [1.0, 2.0, 3.0]}), path)


def as_zst(path: Path) -> None:
    """Write text compressed by zstandard."""
    path.write_bytes(zst("\n".join(TEXTS).encode()))


def zst(content: bytes) -> bytes:
    """One frame of zstandard."""
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return bytes(sink.getvalue())


def parquet(content: list[str]) -> bytes:
    """A Parquet file."""
    import pyarrow as pa
    from pyarrow import parquet

    sink = pa.BufferOutputStream()
    parquet.write_table(pa.table({"text": content}), sink, compression="snappy")
    return bytes(sink.getvalue())


WRITERS: dict[str, Callable[[Path], object]] = {
    "a.txt": lambda path: path.write_text("\n".join(TEXTS), encoding="utf-8"),
    "a.md": lambda path: path.write_text("\r\n".join(TEXTS), encoding="utf-8-sig"),
    "a.jsonl": as_jsonl,
    "a.csv": as_csv,
    "a.tsv": lambda path: path.write_text("\n".join(["text\tn", *(f"{t}\t1" for t in TEXTS)])),
    "a.parquet": as_parquet,
    "a.txt.gz": lambda path: path.write_bytes(gzip.compress("\n".join(TEXTS).encode())),
    "a.txt.bz2": lambda path: path.write_bytes(bz2.compress("\n".join(TEXTS).encode())),
    "a.txt.xz": lambda path: path.write_bytes(lzma.compress("\n".join(TEXTS).encode())),
    "a.txt.zst": as_zst,
}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_texts(name: str, tmp_path: Path) -> None:
    """Text, JSON lines, CSV, TSV, Parquet and compressed files, told by their suffix."""
    WRITERS[name](tmp_path / name)
    assert texts(tmp_path / name) == TEXTS


def test_a_folder_is_read_in_order_of_names(tmp_path: Path) -> None:
    """Files of unknown formats are counted, hidden ones are not looked at."""
    (tmp_path / "sub").mkdir()
    for name, text in (("sub/b.txt", "Second."), ("a.txt", "First."), ("x.bin", "?"), (".z", "?")):
        (tmp_path / name).write_text(text)
    parts, ignored = find_parts([tmp_path], Reading())
    assert [Path(part.name).name for part in parts] == ["a.txt", "b.txt"]
    assert ignored == 1


def test_standard_input_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The source ``-``."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(TEXTS).encode())))
    assert texts("-") == TEXTS


def test_a_hub_dataset_is_streamed(tmp_path: Path) -> None:
    """A local dataset with the schema of the paper's source, through the hub's own library."""
    (tmp_path / "data").mkdir()
    as_parquet(tmp_path / "data" / "train-00000-of-00001.parquet")
    assert texts(f"hub:{tmp_path}") == TEXTS
    with pytest.raises(DatasetError, match="split 'test'"):
        texts(f"hub:{tmp_path}", Reading(split="test"))


def test_undecodable_records_are_counted(tmp_path: Path) -> None:
    """Mixed encodings: a warning's worth, the rest is read."""
    path = tmp_path / "mixed.txt"
    path.write_bytes("\n".join([*TEXTS, "x"] * 10).encode() + "\ncafé\n".encode("latin-1"))
    assert [block.problems for block in blocks(path)] == [{"not decodable": 1}]
    assert len(texts(path)) == 40


def test_records_without_text_are_counted(tmp_path: Path) -> None:
    """Numbers, nulls and missing fields."""
    path = tmp_path / "a.jsonl"
    rows = [{"text": "One."}, {"text": None}, {"text": 7}, {"other": "x"}, {"text": " "}]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert blocks(path)[0].problems == {"no text": 3, "blank": 1}


def test_blocks_are_small_and_tell_the_position(tmp_path: Path) -> None:
    """However large a file is, a block has so many records."""
    path = tmp_path / "a.txt"
    path.write_text("A line of text.\n" * 2500)
    found = list(read(Part("file", str(path), path.stat().st_size), Reading(), block=1000))
    assert [len(block.texts) for block in found] == [1000, 1000, 500]
    assert found[0].position < found[-1].position == path.stat().st_size


BAD: dict[str, tuple[bytes, str]] = {
    "binary.txt": (b"\x00\x01\x02" * 50, "a binary file, not text"),
    "gzip.txt": (gzip.compress(b"text"), "this is gzip, not UTF-8 text"),
    "utf16.txt": ("text".encode("utf-16"), "this is UTF-16"),
    "latin.txt": ("é\n".encode("latin-1") * 50, "20 of the first 20 records.*--encoding"),
    "torn.txt.gz": (gzip.compress(os.urandom(9999))[:-3000], "a damaged compressed file"),
    "plain.txt.gz": (b"just text", "a damaged compressed file"),
    "bad.jsonl": (b"{not json}\n", "line 1: not JSON"),
    "list.jsonl": (b'["a"]\n', "line 1: one JSON object a line is expected, not a list"),
    "other.jsonl": (b'{"a": 1, "b": 2}\n', "no column 'text'; it has a, b: name one with --column"),
    "other.csv": (b"a,b\n1,2\n", "no column 'text'; it has a, b"),
    "bad.parquet": (b"PAR1 and no more", "not a Parquet file"),
    "deep.jsonl": (b"[" * 200_000, "line 1: not JSON"),
}
NOISE = random.Random(0).randbytes(99_999)
DAMAGED: dict[str, Callable[[], bytes]] = {
    "torn.txt.zst": lambda: zst(b64encode(NOISE))[:-3000],
    "plain.txt.zst": lambda: b"just text, and some more of it",
    "plain.txt.bz2": lambda: b"just text, and some more of it",
    "torn.txt.bz2": lambda: bz2.compress(b64encode(NOISE))[:-3000],
    "holes.txt.bz2": lambda: holes(bz2.compress(b64encode(NOISE))),
    "torn.parquet": lambda: parquet(["a text"] * 9)[:-7],
    "holes.parquet": lambda: holes(parquet([str(i * i) * 9 for i in range(9999)])),
}


def holes(content: bytes) -> bytes:
    """The content with zeros in its first half."""
    return content[:100] + bytes(len(content) // 2 - 100) + content[len(content) // 2 :]


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """The file, what is wrong with it, and what to do."""
    content, message = BAD[name]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DatasetError, match=message) as error:
        texts(path)
    assert str(path) in str(error.value)


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_one_clear_error(name: str, tmp_path: Path) -> None:
    """Cut short, changed, or not of the format at all; never a part of it taken for the whole."""
    path = tmp_path / name
    path.write_bytes(DAMAGED[name]())
    with pytest.raises(DatasetError, match="damaged") as error:
        texts(path)
    assert str(path) in str(error.value)


def test_every_frame_of_a_zst_file_is_read(tmp_path: Path) -> None:
    """Files written piece by piece have several."""
    path = tmp_path / "a.txt.zst"
    path.write_bytes(b"".join(zst(f"{text}\n".encode()) for text in TEXTS))
    assert texts(path) == TEXTS


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "UTF_16", "utf-32"])
def test_wide_encodings_are_read(encoding: str, tmp_path: Path) -> None:
    """Where they are named, their zero bytes are no sign of a binary file."""
    path = tmp_path / "a.txt"
    path.write_text("\n".join(TEXTS), encoding=encoding)
    assert texts(path, Reading(encoding=encoding)) == TEXTS


def test_a_missing_source_is_told_how_hub_datasets_are_named() -> None:
    """A name of the hub without its mark is a likely mistake."""
    with pytest.raises(DatasetError, match="hub:OWNER/NAME"):
        texts("agentlans/high-quality-english-sentences")


def test_a_folder_without_text_is_an_error(tmp_path: Path) -> None:
    """With the formats there are."""
    with pytest.raises(DatasetError, match=r"no file of a known format.*\.parquet"):
        texts(tmp_path)


def test_unknown_readings_are_told() -> None:
    """Formats and encodings."""
    with pytest.raises(SettingsError, match="unknown format 'pdf'"):
        Reading(format="pdf")
    with pytest.raises(SettingsError, match="unknown encoding 'utf-9'"):
        Reading(encoding="utf-9")


@pytest.mark.parametrize("size", [200_000, 3_000_000])
def test_a_long_cell_is_read(size: int, tmp_path: Path) -> None:
    """Of more characters than Python's csv takes by itself; what others set is left as it was."""
    before = csv.field_size_limit()
    path = tmp_path / "wide.csv"
    path.write_text(f'text,b\n"{"x " * (size // 2)}",2\nNext.,3\n', encoding="utf-8")
    assert [len(text) for text in texts(path)] == [size - 1, 5]
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("first", ["", "sep"])
def test_columns_may_be_parted_otherwise(delimiter: str, first: str, tmp_path: Path) -> None:
    """As spreadsheets of many countries do, with a byte order mark and CRLF."""
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8-sig") as file:
        if first:
            file.write(f"sep={delimiter}\r\n")
        rows = [["id", "text", "a, b, c; d; e"], *(["1", text, ""] for text in TEXTS)]
        csv.writer(file, delimiter=delimiter).writerows(rows)
    assert texts(path) == TEXTS


@pytest.mark.parametrize(
    "folder", [".git", ".ipynb_checkpoints", "__MACOSX", ".cache/hub", "a/.venv/b", "__pycache__"]
)
def test_folders_of_programs_are_no_source(folder: str, tmp_path: Path) -> None:
    """Below a source; a source that lies in one is read."""
    (tmp_path / folder).mkdir(parents=True)
    (tmp_path / folder / "note.txt").write_text("Hidden.", encoding="utf-8")
    (tmp_path / "a.txt").write_text("Seen.", encoding="utf-8")
    assert texts(tmp_path) == ["Seen."]
    assert texts(tmp_path / folder) == ["Hidden."]


PROSE = (
    "The old lamp at the corner of the market was lit again last night, after many years in "
    "which nobody had asked for it. Children came out of the houses and looked at it without a "
    "word, and the baker, who had never been seen to smile, gave each of them a roll."
)


@pytest.mark.parametrize("width", [60, 72, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
def test_wrapped_lines_are_joined(width: int, line_end: str, tmp_path: Path) -> None:
    """Sentences run over the ends of lines; a blank line ends a paragraph."""
    path = tmp_path / "book.txt"
    book = "\n\n".join(["\n".join(textwrap.wrap(PROSE, width))] * 3)
    path.write_text(book, encoding="utf-8", newline=line_end)
    assert texts(path) == [PROSE] * 3


@pytest.mark.parametrize(
    "lines",
    [
        TEXTS,
        ["so tired today", "the bus was late again, as if it knew that i have an exam", "why me",
         "lunch with sam was really good though and the sun came out", "ok", "good night all"],
        ["A title without an end", "Another one", "The third"],
    ],
)  # fmt: skip
def test_lines_of_their_own_are_not_joined(lines: list[str], tmp_path: Path) -> None:
    """Sentences, posts without full stops, titles."""
    (tmp_path / "a.txt").write_text("\n".join(lines), encoding="utf-8")
    assert texts(tmp_path / "a.txt") == lines
