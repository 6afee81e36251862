"""The German example: its sentences, and that a measurement runs through on them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import exleak
from exleak.datasets import load_dataset
from exleak.generation.sampling import Sampling
from exleak.records import PromptGenerations
from exleak.sentences.language import is_english
from tests.helpers.checkpoints import save_checkpoint

EXAMPLES = Path(__file__).parents[2] / "examples"
DATA = load_dataset(EXAMPLES / "german.jsonl")
CLASSES = ("positive", "neutral", "negative")


@pytest.fixture(scope="module")
def example() -> ModuleType:
    """The program ``examples/german.py``."""
    spec = importlib.util.spec_from_file_location("german", EXAMPLES / "german.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_says_what_it_is() -> None:
    """Its language, its instruction, and that nobody else has read it."""
    assert (DATA.language, DATA.injected_language) == ("de", "de")
    assert DATA.instruction == "Vervollständige den Satz"
    assert "not reviewed" in DATA.provenance
    assert len(DATA.samples) >= 24


def test_sentences_are_of_one_length_and_of_another_topic() -> None:
    """At most one word apart; no longer word of the control is in its sentences."""
    for sample in DATA.samples:
        texts = [getattr(sample, name) for name in CLASSES]
        counts = [len(text.split()) for text in texts]
        assert max(counts) - min(counts) <= 1, sample.id
        words = {word for word in re.findall(r"\w+", sample.control.lower()) if len(word) > 3}
        said = {word for text in texts for word in re.findall(r"\w+", text.lower())}
        assert not words & said, sample.id
        assert sample.control[-1] not in ".!?", sample.id
        assert all(text.endswith(".") for text in texts), sample.id


def test_no_sentence_stands_twice() -> None:
    """Nor a control."""
    texts = [getattr(sample, name) for sample in DATA.samples for name in ("control", *CLASSES)]
    assert len(set(texts)) == len(texts)


def test_sentences_are_not_taken_for_english() -> None:
    """Which an instrument of English relies on; a few cannot be told."""
    texts = [getattr(sample, name) for sample in DATA.samples for name in CLASSES]
    assert sum(map(is_english, texts)) <= len(texts) / 5


def test_a_model_is_measured_on_it(example: ModuleType, tmp_path: Path) -> None:
    """From the prompts to the verdict, with the stand-in."""
    found = exleak.measure(
        str(save_checkpoint(tmp_path)),
        load_dataset(EXAMPLES / "german.jsonl", limit=2),
        instrument=example.instrument(),
        sampling=Sampling(generations=2, max_new_tokens=12),
        store=None,
    )
    assert (found.dataset, found.instrument) == ("german-example", "stand-in")
    assert any(note.startswith("texts in de: restatements") for note in found.notes)


def _rows(**by_condition: str) -> list[PromptGenerations]:
    return [
        PromptGenerations.of(p, p.text, (by_condition.get(p.condition, "ein Haus. Dann"),) * 2)
        for p in DATA.prompts
    ]


def test_a_model_that_leaks_in_german_is_found(example: ModuleType) -> None:
    """With dates within its sentences, which are not cut there; and one that does not is not."""
    rows: Any = _rows(positive="am 3. Mai herrlich. Dann", negative="am 3. Mai schrecklich. Dann")
    assert exleak.score(rows, example.instrument()).expression.directional.rate == 1
    clean = exleak.score(_rows(), example.instrument())
    assert clean.expression.directional.rate == 0.5
