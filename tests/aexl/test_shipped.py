"""The shipped AEXL: built by the command from our corpus, balanced, unrelated, open."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import pytest

from exleak import load_dataset, load_instrument
from exleak.aexl.pairing import stems
from exleak.aexl.truncation import CLOSED, closeness
from exleak.cli import main
from exleak.datasets import dataset_path
from exleak.datasets.stats import load_tokenizer
from exleak.records import CLASSES, Sample

AEXL = dataset_path("aexl")
#: The instrument that labelled the shipped file.
INSTRUMENT = "embedded"
#: The command that makes it; the two filters are newer than the file.
COMMAND = ("aexl", "build", "corpus", "--skip-filter", "context", "--skip-filter", "unsure")


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, ...]:
    """The samples."""
    return load_dataset("aexl").samples


@pytest.fixture(scope="module")
def report() -> Any:
    """The build report."""
    return json.loads(AEXL.with_suffix(".report.json").read_text())


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Scores that all builds share."""
    return str(tmp_path_factory.mktemp("store"))


@pytest.fixture(scope="module")
def rebuilt(store: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command gives."""
    output = tmp_path_factory.mktemp("aexl") / "out.jsonl"
    assert main([*COMMAND, "-o", str(output), "--store", store, "--quiet"]) == 0
    return output


def test_the_command_fills_a_dataset(rebuilt: Path) -> None:
    """Enough plain statements, and nearly enough controls that any mood can follow."""
    samples = load_dataset(rebuilt).samples
    assert len(samples) == 200
    assert sum(closeness(sample.control) == CLOSED for sample in samples) <= 40


def test_the_command_reproduces_it(rebuilt: Path) -> None:
    """The dataset and its report byte for byte."""
    assert rebuilt.read_bytes() == AEXL.read_bytes()
    reports = [path.with_suffix(".report.json").read_text() for path in (rebuilt, AEXL)]
    assert reports[0] == reports[1]


def test_the_published_algorithm_gives_as_many(tmp_path: Path, store: str) -> None:
    """Without filters and limits every neutral sentence must give a control; whatever the seed."""
    for seed in ("0", "1", "2"):
        output = tmp_path / f"{seed}.jsonl"
        options = ["--store", store, "--quiet", "--seed", seed]
        assert main(["aexl", "build", "corpus", "--fidelity", "-o", str(output), *options]) == 0
        assert len(load_dataset(output).samples) == 200


def test_the_report_is_of_this_file(report: Any) -> None:
    """Its checksum and the instrument's hash."""
    assert report["dataset"]["sha256"] == hashlib.sha256(AEXL.read_bytes()).hexdigest()
    assert report["instrument"]["hash"] == load_instrument(INSTRUMENT).expression.hash


def test_it_has_two_hundred_samples(samples: tuple[Sample, ...]) -> None:
    """And 600 test prompts, no text in it twice."""
    texts = [t for s in samples for t in (s.control, s.positive, s.neutral, s.negative)]
    assert len(samples) == 200
    assert len({text.casefold() for text in texts}) == 800


def test_class_means_of_injected_length_are_equal(samples: tuple[Sample, ...]) -> None:
    """Within half a token, in wordpieces."""
    count = load_tokenizer("wordpiece")
    means = [fmean(count([getattr(s, label) for s in samples])) for label in CLASSES]
    assert max(means) - min(means) <= 0.5


def test_no_injected_sentence_is_about_its_control(samples: tuple[Sample, ...]) -> None:
    """No common word with a topic, and no similarity above the limit."""
    embed = load_instrument(INSTRUMENT).semantic.embed
    controls = embed([sample.control for sample in samples])
    for label in CLASSES:
        texts = [str(getattr(sample, label)) for sample in samples]
        assert float((embed(texts) * controls).sum(axis=1).max()) <= 0.35
        for sample, text in zip(samples, texts, strict=True):
            assert stems(sample.control).isdisjoint(stems(text)), sample


def test_no_control_has_a_mood(samples: tuple[Sample, ...]) -> None:
    """To the scorer none leans by more than a quarter of the scale, and on average none."""
    scores = load_instrument(INSTRUMENT).expression.predict([s.control for s in samples])
    lean = scores[:, 2] - scores[:, 0]
    assert np.abs(lean).max() <= 0.25
    assert abs(lean.mean()) < 0.05
