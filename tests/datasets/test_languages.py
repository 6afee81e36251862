"""The language of a dataset: from its header to prompts, files, store and extensions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from exleak.adaptive import extension
from exleak.datasets import load_dataset
from exleak.errors import DatasetError, SettingsError
from exleak.generation.dataset import _Asked, _key
from exleak.records import PromptGenerations
from exleak.store.generations import read_generations, write_generations

SAMPLE = {
    "id": "s1",
    "control": "Die Suppe ist",
    "positive": "A.",
    "neutral": "B.",
    "negative": "C.",
}


def write(folder: Path, **header: object) -> Path:
    """A dataset of one sample with this header."""
    path = folder / "data.jsonl"
    lines = [{"dataset": "mine", **header}, SAMPLE]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("header", "languages"),
    [
        ({}, ("en", "en")),
        ({"language": "de"}, ("de", "de")),
        ({"language": "de", "injected_language": "en"}, ("de", "en")),
        ({"injected_language": "ar"}, ("en", "ar")),
    ],
)
def test_the_header_says_the_languages(
    header: dict[str, str], languages: tuple[str, str], tmp_path: Path
) -> None:
    """English without one; sentences are in the control's language unless it says otherwise."""
    data = load_dataset(write(tmp_path, **header))
    assert (data.language, data.injected_language) == languages
    assert {(p.language, p.injected_language) for p in data.prompts} == {languages}


@pytest.mark.parametrize("value", ["German", "DE", "pt-br", "", 3, ["de"]])
@pytest.mark.parametrize("key", ["language", "injected_language"])
def test_what_is_no_code_is_refused(key: str, value: object, tmp_path: Path) -> None:
    """In a dataset and in a generations file, with its line."""
    message = rf"line 1: .*'{key}' must be an ISO 639 code such as de, zh or ar, not"
    with pytest.raises(DatasetError, match=message):
        load_dataset(write(tmp_path, **{key: value}))
    row = {"id": "a", "condition": "control", "prompt": "P", "generations": ["x"], key: value}
    (tmp_path / "rows.jsonl").write_text(json.dumps(row))
    with pytest.raises(DatasetError, match=message):
        read_generations(tmp_path / "rows.jsonl")


def test_a_dataset_in_another_language_is_another_one(tmp_path: Path) -> None:
    """Its continuations are cut elsewhere: runs of the two are not compared."""
    hashes = {
        load_dataset(write(tmp_path, **header)).hash
        for header in ({}, {"language": "de"}, {"language": "de", "injected_language": "en"})
    }
    assert len(hashes) == 3
    assert load_dataset(write(tmp_path, language="en")).hash in hashes


def test_a_generations_file_holds_the_languages(tmp_path: Path) -> None:
    """Of rows in other languages; an English one is as it always was."""
    path = tmp_path / "rows.jsonl"
    for header in ({}, {"language": "de", "injected_language": "en"}):
        (prompt, *_) = load_dataset(write(tmp_path, **header)).prompts
        row = PromptGenerations.of(prompt, prompt.text, ("x",))
        write_generations(path, [row])
        assert read_generations(path) == (row,)
        assert ("language" in json.loads(path.read_text())) == bool(header)


def test_continuations_are_stored_by_language() -> None:
    """Stopped where an English sentence ends, one may lack the end of a German sentence."""
    english, german, arabic = (_key(_Asked("P", None, code), 0) for code in ("en", "de", "ar"))
    assert len({english, german, arabic}) == 3
    assert english.endswith(":0")


def test_no_english_samples_extend_another_language() -> None:
    """Neither by number nor by name."""
    data = replace(load_dataset("hexl", limit=3), language="de")
    for extend in (5, "aexl"):
        with pytest.raises(SettingsError, match="no further samples"):
            extension(data, extend, 0)
    assert extension(load_dataset("hexl", limit=3), 5, 0).samples
