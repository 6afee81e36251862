"""Answer files: read as they come, refused with file and line when they are wrong."""

from __future__ import annotations

import csv
import io
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exleak.annotate.answers import read_answers
from exleak.annotate.export import HANDOUT, export_pairs
from exleak.annotate.key import Key, read_key
from exleak.errors import DatasetError
from exleak.files import neutralise, restore, to_csv
from exleak.store import write_generations
from tests.helpers.people import reference_rows, write_run


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """An export of twelve items, under ``out``."""
    return export_pairs(write_run(tmp_path / "run.jsonl", 4), tmp_path / "out", salt="s")


def sheet(key: Key, *lines: str) -> str:
    """A CSV answer file."""
    head = "export,item,direction,influence"
    return "\n".join([head, *(f"{key.export},{line}" for line in lines)])


@given(st.text(alphabet="=+-@\t\r\n'＝a1,;\" \x00", max_size=6))
def test_no_cell_begins_like_a_formula_and_all_come_back(text: str) -> None:
    """Neutralising is exact: what was written is what is read."""
    assert not neutralise(text).startswith(tuple("=+-@\t\r\n＝＋－＠"))
    assert restore(neutralise(text)) == text
    (row,) = csv.reader(io.StringIO(to_csv([[text, "x"]]).lstrip("\ufeff"), newline=""))
    assert restore(row[0]) == text


def test_formula_like_model_output_is_neutralised(tmp_path: Path) -> None:
    """In the file that annotators open in a spreadsheet."""
    hostile = ("=HYPERLINK(1) is good.", "@SUM(2) is bad.", "+3 is what it is.")
    rows = [replace(row, generations=hostile) for row in reference_rows(3, random.Random(0))]
    write_generations(tmp_path / "run.jsonl", rows)
    export_pairs(tmp_path / "run.jsonl", tmp_path / "out")
    text = (tmp_path / "out" / HANDOUT / "items.csv").read_text("utf-8-sig")
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    assert not any(cell.startswith(("=", "@", "+")) for cell in cells)
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)


def test_exported_files_filled_in_by_hand_are_read(key: Key, tmp_path: Path) -> None:
    """CSV with any delimiter, with empty cells and capitals; JSON lines with null."""
    source = tmp_path / "out" / HANDOUT / "items.csv"
    table = list(csv.reader(io.StringIO(source.read_text("utf-8-sig"), newline="")))
    for row in table[1:4]:
        row[-2:] = ["Left ", ""]
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows(table)
    (tmp_path / "ada.csv").write_text(f"\ufeff{out.getvalue()}")
    lines = (source.with_suffix(".jsonl")).read_text().splitlines()
    filled = [{**json.loads(line), "influence": "unsure"} for line in lines[:2]]
    (tmp_path / "ben.jsonl").write_text("\n".join(map(json.dumps, filled)))
    answers = read_answers([tmp_path / "ada.csv", tmp_path / "ben.jsonl"], key)
    assert answers.annotators == ("ada", "ben")
    assert len(answers.items) == 12
    assert list(answers.values["direction"].values()) == [{"ada": "left"}] * 3
    assert list(answers.values["influence"].values()) == [{"ben": "unsure"}] * 2


def test_one_file_may_hold_several_annotators(key: Key, tmp_path: Path) -> None:
    """A column names them; a formula-like name comes back as it was."""
    item = key.items[0].id
    path = tmp_path / "all.csv"
    path.write_text(
        to_csv(
            [
                ["export", "item", "annotator", "direction"],
                [key.export, item, "=Ada", "left"],
                [key.export, item, "Ben", "right"],
            ]
        )
    )
    answers = read_answers([path], key)
    assert answers.values["direction"][item] == {"=Ada": "left", "Ben": "right"}


def test_without_a_key_the_answered_items_are_known(key: Key, tmp_path: Path) -> None:
    """Agreement is possible, and other people's exports are still refused."""
    path = tmp_path / "ada.csv"
    path.write_text(sheet(key, f"{key.items[0].id},left,no"))
    assert read_answers([path]).items == (key.items[0].id,)
    path.write_text("")
    with pytest.raises(DatasetError, match="no answer in these files"):
        read_answers([path])
    path.write_text(f"{sheet(key, 'x,left,no')}\nanother,x,left,no")
    with pytest.raises(DatasetError, match=r"ada\.csv, line 3: belongs to export 'another'"):
        read_answers([path])


WRONG_CSV = [
    ("nosuchitem,left,yes", "line 2: unknown item 'nosuchitem'"),
    ("ITEM,middle,yes", "line 2: direction must be one of left, same, right or empty"),
    ("ITEM,left,maybe", "line 2: influence must be one of yes, no, unsure or empty"),
    ("ITEM,left,yes\nEXPORT,ITEM,left,yes", "line 3: 'ada' has answered item 'ITEM' before, in .*"),
    ("ITEM,left,yes,no", "line 2: 5 cells under 4 headings"),
    (",left,yes", "line 2: field 'item' is missing or empty"),
    ("ITEM,,", "every cell is empty"),
    ('ITEM,left,"a\nb"\nother,ITEM,left,no', "line 2: influence must be one of"),
    ('ITEM,left,"\n"\nother,ITEM,left,no', "line 4: belongs to export 'other'"),
]


@pytest.mark.parametrize(("lines", "message"), WRONG_CSV)
def test_wrong_csv_is_refused_with_file_and_line(
    lines: str, message: str, key: Key, tmp_path: Path
) -> None:
    """Each with its place, and what would be right."""
    fill = {"ITEM": key.items[0].id, "EXPORT": key.export}
    for name, value in fill.items():
        lines, message = lines.replace(name, value), message.replace(name, value)
    path = tmp_path / "ada.csv"
    path.write_text(sheet(key, lines))
    with pytest.raises(DatasetError, match=message) as caught:
        read_answers([path], key)
    assert "every cell" in message or "ada.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "item,direction\nx,left", "line 1: one column 'export' is expected"),
        ("a.csv", "export,item\nEXPORT,ITEM", "line 2: no field direction, influence"),
        ("a.csv", b"export,item,direction\nEXPORT,ITEM,l\xe9ft", "not UTF-8 text"),
        ("a.json", "[]", "an object with a list 'answers'"),
        ("a.json", "{", "not JSON"),
        (
            "a.json",
            '{"export": "EXPORT",\n"answers": [\n{"item": 3}]}',
            "line 3: field 'item' must",
        ),
        ("a.json", '{"export": "EXPORT", "answers": [3]}', "answer 1: a JSON object is expected"),
        (
            "a.json",
            '{"export": "EXPORT",\n"annotator": "\\"item\\":",\n"answers": [\n'
            '{"item": "ITEM", "direction": "left"},\n{"item": "ITEM", "direction": "left"}]}',
            r"line 5: .* before, in .*a\.json, line 4",
        ),
        ("a.jsonl", '\n{"export": "EXPORT"}', "line 2: field 'item' is missing"),
        ("a.jsonl", "no", "line 1: not JSON"),
        ("a.json", "[" * 200_000, "not JSON"),
        ("a.xlsx", "", "answers are .json, .jsonl or .csv files"),
        ("a.csv", "", "there is no answer"),
    ],
)
def test_wrong_files_are_refused(
    name: str, text: str | bytes, message: str, key: Key, tmp_path: Path
) -> None:
    """Whatever is wrong with them."""
    path = tmp_path / name
    raw = text if isinstance(text, bytes) else text.encode()
    raw = raw.replace(b"EXPORT", key.export.encode())
    path.write_bytes(raw.replace(b"ITEM", key.items[0].id.encode()))
    with pytest.raises(DatasetError, match=message):
        read_answers([path], key)


def test_one_annotator_in_two_files_must_not_answer_twice(key: Key, tmp_path: Path) -> None:
    """Two exports of one person, or two people of one name: the message says where."""
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "ada.csv").write_text(sheet(key, f"{key.items[0].id},left,no"))
    with pytest.raises(DatasetError, match=r"b/ada\.csv, line 2: .* before, in .*a/ada\.csv"):
        read_answers([tmp_path / "a" / "ada.csv", tmp_path / "b" / "ada.csv"], key)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not a key: not JSON"),
        ("[" * 200_000, "not a key: not JSON"),
        ("{}", "not a key; give the key.json"),
        ('{"kind": "exleak annotation key", "schema": 2}', "newer exleak"),
        ('{"kind": "exleak annotation key", "schema": 1, "task": "x"}', "a damaged key"),
    ],
)
def test_a_wrong_key_is_refused(text: str, message: str, tmp_path: Path) -> None:
    """With its path."""
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(DatasetError, match=message):
        read_key(path)
