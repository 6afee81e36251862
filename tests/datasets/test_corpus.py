"""The corpus: our own sentences in the registers of the web, source text for AEXL."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path

import pytest

import exleak

CORPUS = Path(exleak.__file__).parent / "datasets" / "corpus.jsonl.gz"


@pytest.fixture(scope="module")
def rows() -> list[dict[str, str]]:
    """Every line of the corpus."""
    with gzip.open(CORPUS, "rt", encoding="ascii") as file:
        return [json.loads(line) for line in file]


def test_there_is_enough_in_enough_registers(rows: list[dict[str, str]]) -> None:
    """At least 3,000 sentences in at least ten registers, none of them rare."""
    registers = Counter(row["register"] for row in rows)
    assert len(rows) >= 3000
    assert len(registers) >= 10
    assert min(registers.values()) >= 250


def test_no_sentence_comes_twice(rows: list[dict[str, str]]) -> None:
    """Case aside, all texts are distinct, and none is one of HEXL's."""
    texts = {row["text"].lower() for row in rows}
    assert len(texts) == len(rows)
    samples = exleak.load_dataset("hexl").samples
    assert not texts & {getattr(s, c).lower() for s in samples for c in conditions()}


def conditions() -> tuple[str, ...]:
    """The injected conditions."""
    return ("positive", "neutral", "negative")


def test_every_line_is_one_sentence_of_plain_text(rows: list[dict[str, str]]) -> None:
    """Six to 22 words, an end mark, no markup, no address."""
    for text in (row["text"] for row in rows):
        assert 6 <= len(text.split()) <= 22, text
        assert text.endswith((".", "!", "?")), text
        assert not any(mark in text for mark in ("http", "www.", "@", "<", ">", "  ")), text
