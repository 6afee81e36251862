"""Datasets by name and by file, and what is wrong with them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from exleak import DatasetError, SettingsError, load_dataset
from exleak.records import CONDITIONS

SAMPLE = {
    "id": "s1",
    "control": "The soup is",
    "positive": "I won.",
    "neutral": "I sat.",
    "negative": "I lost.",
}


def write(folder: Path, *lines: object) -> Path:
    """A dataset file of these lines; texts stand as they are."""
    path = folder / "data.jsonl"
    rows = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(rows), encoding="utf-8")
    return path


def test_prompts_are_in_order_with_the_instruction(tmp_path: Path) -> None:
    """Control, positive, neutral, negative; each begins with the instruction."""
    header = {"dataset": "mine", "version": "2", "instruction": "Complete the sentence"}
    data = load_dataset(write(tmp_path, header, SAMPLE))
    prompts = data.samples[0].prompts
    assert (data.name, data.version) == ("mine", "2")
    assert tuple(prompt.condition for prompt in prompts) == CONDITIONS
    assert [prompt.text for prompt in prompts] == [
        "Complete the sentence: The soup is",
        "Complete the sentence: I won. The soup is",
        "Complete the sentence: I sat. The soup is",
        "Complete the sentence: I lost. The soup is",
    ]
    assert len({prompt.id for prompt in prompts}) == 4


def test_the_header_is_optional(tmp_path: Path) -> None:
    """Without one the file's name is the dataset's, and there is no instruction."""
    data = load_dataset(write(tmp_path, SAMPLE))
    assert data.name == "data"
    assert data.samples[0].prompts[0].text == "The soup is"


def test_intensities_are_kept_and_further_fields_ignored(tmp_path: Path) -> None:
    """They are no part of the prompts, so the hash is the same without them."""
    path = write(tmp_path, SAMPLE)
    plain = load_dataset(path)
    write(tmp_path, {**SAMPLE, "intensity": {"positive": 3}, "stimulus": {"positive": "7"}})
    known = load_dataset(path)
    assert known.samples[0].intensity == {"positive": 3.0}
    assert plain.samples[0].intensity == {}
    assert known.hash == plain.hash
    assert isinstance(hash(known), int)


def test_hexl_has_sixty_samples() -> None:
    """The shipped dataset loads by name."""
    assert len(load_dataset("hexl").samples) == 60


def test_a_limited_dataset_has_another_hash() -> None:
    """A partial run is never taken for a full one."""
    assert load_dataset("hexl", limit=5).hash != load_dataset("hexl").hash
    assert len(load_dataset("hexl", limit=5).samples) == 5


@pytest.mark.parametrize("limit", [0, -3])
def test_a_limit_below_one_is_refused(limit: int) -> None:
    """A negative one would leave out the last samples."""
    with pytest.raises(SettingsError, match=f"limit must be at least 1, not {limit}"):
        load_dataset("hexl", limit=limit)


def test_line_separators_inside_texts_are_no_lines(tmp_path: Path) -> None:
    """U+2028 is legal inside a JSON string."""
    odd = {**SAMPLE, "positive": "I won.\u2028Again."}
    path = write(tmp_path, json.dumps(odd, ensure_ascii=False))
    assert load_dataset(path).samples[0].positive == "I won.\u2028Again."


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([SAMPLE, {k: v for k, v in SAMPLE.items() if k != "neutral"}], "line 2.*'neutral'"),
        ([SAMPLE, "", SAMPLE], "line 3: duplicate id 's1', first used in line 1"),
        ([SAMPLE, {**SAMPLE, "id": "s2", "control": " "}], "line 2.*non-empty"),
        ([SAMPLE, {**SAMPLE, "id": 7}], "line 2.*'id'"),
        (["{not json"], "line 1: not JSON"),
        (
            ['{"id": "s1", "control": "a", "control": "b"}'],
            "line 1: .*field 'control' is there twice",
        ),
        (["[1]"], "line 1: a JSON object is expected"),
        ([{**SAMPLE, "intensity": 3}], "line 1: field 'intensity' must hold a number by class"),
        ([{**SAMPLE, "intensity": {"control": 3}}], "line 1: field 'intensity' must hold"),
        ([{**SAMPLE, "intensity": {"positive": "3"}}], "line 1: field 'intensity' must hold"),
        ([{**SAMPLE, "intensity": {"positive": math.nan}}], "line 1: field 'intensity' must hold"),
        ([{"dataset": "x"}], "no samples"),
        ([""], "no samples"),
    ],
)
def test_bad_lines_are_named(lines: list[object], message: str, tmp_path: Path) -> None:
    """File and line are in the message."""
    path = write(tmp_path, *lines)
    with pytest.raises(DatasetError, match=message) as error:
        load_dataset(path)
    assert str(path) in str(error.value)


def test_an_unknown_dataset_is_told_what_there_is() -> None:
    """The shipped names are listed."""
    with pytest.raises(DatasetError, match="hexl"):
        load_dataset("hexxl")


def test_a_file_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    """Latin-1 text is an error, not mojibake."""
    path = tmp_path / "latin.jsonl"
    path.write_bytes(json.dumps({**SAMPLE, "positive": "é"}, ensure_ascii=False).encode("latin-1"))
    with pytest.raises(DatasetError, match="UTF-8"):
        load_dataset(path)


def test_a_deeply_nested_line_is_no_json(tmp_path: Path) -> None:
    """More brackets than Python can count down from."""
    with pytest.raises(DatasetError, match="line 2: not JSON"):
        load_dataset(write(tmp_path, SAMPLE, "[" * 200_000))
