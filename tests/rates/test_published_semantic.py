"""Semantic leak rates of stored texts, as Gonen et al. (2024) and Smilga (2025) count them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exleak import load_instrument
from exleak.cli import main

CONTROLS = {
    "c1": ["drive a bus. It is long.", "paint walls.", "", "He is a cook"],
    "c2": ["soup, as always.", "rice.", "bread and butter.", "tea"],
}
TESTS = {
    "t1": ("c1", "yellow", ["drive a yellow school bus.", "paint walls.", "nothing.", "a clerk"]),
    "t2": ("c2", "the sea", ["fish. I swim!", "rice.", "bread and butter", "a boat trip."]),
    "t3": ("c2", "winter", ["soup, as always.", "snow.", "salad in July.", "tea"]),
}


def line(name: str, control: str | None, concept: str | None, texts: list[str]) -> str:
    """A line of a generations file."""
    condition = "control" if control is None else "test"
    return json.dumps(
        {"id": name, "control": control, "condition": condition, "concept": concept,
         "prompt": f"{concept} {control or name}", "generations": texts}
    )  # fmt: skip


def by_hand(decimals: int | None) -> list[float]:
    """Eq. 3 and 4, index by index, in plain Python."""
    embed = load_instrument("embedded").semantic.embed
    found = []
    for control, concept, texts in TESTS.values():
        for test, other in zip(texts, CONTROLS[control], strict=True):
            vectors = embed([concept, test, other])
            ours, theirs = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
            if decimals is not None:
                ours, theirs = round(ours, decimals), round(theirs, decimals)
            found.append(1.0 if ours > theirs else 0.0 if ours < theirs else 0.5)
    return found


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Generations with one concept per test prompt and no expression class."""
    lines = [line(name, None, None, texts) for name, texts in CONTROLS.items()]
    lines += [line(name, *row) for name, row in TESTS.items()]
    path = tmp_path / "g.jsonl"
    path.write_text("\n".join(lines))
    return path


def scored(file: Path, *arguments: str) -> dict[str, Any]:
    """The measurement that ``exleak score`` writes."""
    out = file.with_name("out.json")
    assert main(["score", str(file), "--json", str(out), *arguments]) == 0
    (found,) = json.loads(out.read_text())["measurements"]
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("decimals", [3, 1])
def test_rates_are_those_counted_by_hand(file: Path, decimals: int) -> None:
    """Raw texts, paired by index, similarities rounded, ties one half, averaged over all."""
    values = by_hand(decimals)
    paired = scored(file, "--raw", "--decimals", str(decimals))["semantic"]["paired"]
    assert paired["n"] == len(values) == 12
    assert paired["rate"] == pytest.approx(sum(values) / len(values))
    assert paired["ties"] == values.count(0.5) >= 4


def test_rounding_decides_close_cases(file: Path) -> None:
    """With one decimal more pairs tie than with all of them."""
    assert by_hand(1).count(0.5) > by_hand(None).count(0.5)
    plain = scored(file, "--raw")["semantic"]["paired"]
    assert plain["rate"] == pytest.approx(sum(by_hand(None)) / 12)


def test_texts_without_a_class_have_no_expression_leakage(file: Path) -> None:
    """Condition "test" enters semantic leakage alone, by its own name."""
    found = scored(file, "--raw")
    assert found["expression"]["rate"] is None
    assert set(found["semantic"]["by_condition"]) == {"test"}


def test_without_raw_only_first_sentences_count(file: Path) -> None:
    """What a model writes after its first sentence changes the raw rate alone."""
    plain = scored(file)
    text = file.read_text()
    assert "fish. I swim!" in text
    file.write_text(text.replace("fish. I swim!", "fish. " + "Soup is all I eat. " * 9))
    assert scored(file)["semantic"]["paired"] == plain["semantic"]["paired"]
    assert scored(file, "--raw")["pairs"] != plain["pairs"]
