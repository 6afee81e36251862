"""The task of Inspect, with a stub of Inspect: what it asks for, shows and computes."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import subprocess
import sys
import tomllib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exleak import score
from exleak.datasets import load_dataset
from exleak.errors import InstrumentError, SettingsError
from exleak.generation.sampling import Sampling
from exleak.prompts import MITIGATION, prompt_text
from exleak.tasks.documents import rates
from tests.helpers.inspect_stub import State, inspect_task
from tests.helpers.logs import hexl_rows


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module."""
    return inspect_task(monkeypatch)


@pytest.mark.parametrize("name", ["hexl", "aexl"])
def test_the_settings_are_the_paper_s(name: str, tasks: Any) -> None:
    """As far as Inspect has them. No seed: it would make all epochs of a prompt alike."""
    task = getattr(tasks, name)()
    paper = Sampling()
    assert task.epochs == paper.generations
    assert task.config == {
        "temperature": paper.temperature,
        "top_p": paper.top_p,
        "top_k": paper.top_k,
        "max_tokens": paper.max_new_tokens,
    }
    prompts = load_dataset(name).prompts
    asked = [(sample.id, sample.input) for sample in task.dataset.samples]
    assert asked == [(prompt.id, prompt.text) for prompt in prompts]
    assert task.metadata["hash"] == load_dataset(name).hash


@pytest.mark.parametrize(("given", "extra"), [(True, MITIGATION), ("Hush", "Hush")])
def test_arguments(given: str | bool, extra: str, tasks: Any) -> None:
    """Generations are epochs, a limit counts samples."""
    task = tasks.hexl(generations=3, limit=2, mitigation=given)
    prompts = load_dataset("hexl", limit=2).prompts
    assert task.epochs == 3
    assert [sample.input for sample in task.dataset.samples] == [
        prompt_text(prompt, extra) for prompt in prompts
    ]


def test_bad_arguments_are_told_before_anything_is_asked(tasks: Any) -> None:
    """Also an instrument that does not know a dataset's language."""
    with pytest.raises(SettingsError, match="generations must be at least 1"):
        tasks.hexl(generations=0)
    with pytest.raises(InstrumentError, match="knows the languages en"):
        tasks.leakage("examples/german.jsonl")


def _score(tasks: Any, document: dict[str, Any], contents: list[Any], epoch: int = 1) -> Any:
    return asyncio.run(tasks.first_sentence()(State(document, contents, epoch), None))


def test_a_score_shows_the_first_sentence_and_its_mood(tasks: Any) -> None:
    """Thoughts are no part of the answer; they are not in what :mod:`exleak.logs` reads, either."""
    document = tasks.hexl(limit=1).dataset.samples[1].metadata
    parts = [
        {"type": "reasoning", "reasoning": "Terrible."},
        {"type": "text", "text": "wonderful, as ever. It rained"},
    ]
    found = _score(tasks, document, [parts])
    assert found.answer == "wonderful, as ever."
    assert sum(found.value.values()) == pytest.approx(1)
    assert max(found.value, key=found.value.get) == "positive"
    assert found.metadata["generations"] == ["wonderful, as ever. It rained"]


def test_a_request_without_an_answer_is_not_scored(tasks: Any) -> None:
    """As in a log, it is not a generation."""
    found = _score(tasks, tasks.hexl(limit=1).dataset.samples[1].metadata, [])
    assert found.value != found.value
    assert found.metadata["generations"] == []


def test_the_rates_are_those_of_exleak_score(tasks: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over all epochs, which come in any order and are put in that of the log."""
    rows = list(hexl_rows(samples=3, generations=3))
    samples = tasks.hexl(limit=3).dataset.samples
    scores = [
        SimpleNamespace(
            score=_score(tasks, sample.metadata, [row.generations[epoch]], epoch + 1),
            sample_metadata=sample.metadata,
        )
        for epoch in (2, 0, 1)
        for sample, row in zip(samples, rows, strict=True)
    ]
    order: list[str] = []

    def ordered(answered: Any, instrument: Any) -> dict[str, float]:
        order.extend(text for about, texts in answered if about["place"] == 0 for text in texts)
        return rates(answered, instrument)

    monkeypatch.setattr(tasks, "rates", ordered)
    found = tasks.leakage_rates()(scores)
    assert tuple(order) == rows[0].generations
    expression = score(rows).expression
    assert found["mu_EL"] == expression.rate
    assert found["directional"] == expression.directional.rate
    assert tasks.leakage_rates()([]) == {}


def test_the_entry_point_is_there() -> None:
    """Under the name before the slash in ``exleak/hexl``; without Inspect, the error names it."""
    text = Path("pyproject.toml").read_text(encoding="utf-8")
    points = tomllib.loads(text)["project"]["entry-points"]["inspect_ai"]
    assert points == {"exleak": "exleak.tasks.inspect_ai"}
    if importlib.util.find_spec("inspect_ai") is None:
        with pytest.raises(ModuleNotFoundError, match=r"inspect_ai|anyio"):
            importlib.import_module("exleak.tasks.inspect_ai")


def test_the_module_is_light() -> None:
    """Inspect imports it at every start, whatever is evaluated."""
    code = (
        "import sys, pytest\n"
        "from tests.helpers.inspect_stub import inspect_task\n"
        "inspect_task(pytest.MonkeyPatch())\n"
        "print(sorted({'torch', 'transformers', 'scipy', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=False
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
