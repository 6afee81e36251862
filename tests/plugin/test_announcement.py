"""The line before the first measurement."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exleak.progress import Done
from leakage_fixtures import announcement
from tests.plugin.conftest import Run

SAID = "leakage: 1 model, 12 prompts, 24 continuations; what is stored is not generated again"


def announced(result: pytest.RunResult) -> list[str]:
    """The lines that announce."""
    return [line for line in result.outlines if line.startswith("leakage: ")]


def test_a_session_says_what_it_will_generate(measure: Run, llama: Path) -> None:
    """Once, also with workers; not where silence is asked for, nor where nothing is run."""
    model, only = f"--leakage-model={llama}", "--leakage-report-only"
    assert announced(measure(model, only)) == [SAID]
    assert announced(measure(model, only, "-n", "2")) == [SAID]
    early = announced(measure(model, "--leakage-max-rate=0.9", "--leakage-adaptive"))
    assert early == [SAID.replace("12 prompts", "at most 12 prompts")]
    assert announced(measure(model, only, "-q")) == []
    assert announced(measure(model, only, "--collect-only")) == []


class Cache:
    """pytest's cache, in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Any] = {}

    def get(self, name: str, default: object) -> Any:
        """A kept value."""
        return self.kept.get(name, default)

    def set(self, name: str, value: object) -> None:
        """Keep a value."""
        self.kept[name] = value


def test_the_time_of_earlier_runs_is_kept_by_measurement() -> None:
    """Of runs that were long enough to say something; without a cache nothing is kept."""
    config: Any = SimpleNamespace(cache=Cache())
    all_of_it = Done("generating", "sentences", 2400, 2400)
    announcement.remember(config, "a on hexl", 240.0, all_of_it)
    announcement.remember(config, "b on hexl", 3.0, Done("generating", "sentences", 20, 20))
    assert announcement._seconds(config) == {"a on hexl": 0.1}
    announcement.remember(SimpleNamespace(), "a on hexl", 1.0, all_of_it)  # type: ignore[arg-type]
    config.cache.kept["leakage/seconds"] = ["damaged"]
    assert announcement._seconds(config) == {}


def test_a_later_session_knows_the_time(toy: pytest.Pytester, llama: Path, tmp_path: Path) -> None:
    """With the number of measurements that it is known of."""
    arguments = [f"--leakage-model={llama}", "--leakage-limit=4", "--leakage-report-only"]
    first = toy.runpytest_inprocess(*arguments, f"--leakage-store={tmp_path / 'a'}")
    assert "by earlier runs" not in announced(first)[0]
    (line,) = announced(toy.runpytest_inprocess(*arguments, f"--leakage-store={tmp_path / 'b'}"))
    assert line.startswith("leakage: 1 model, 16 prompts, 160 continuations; about ")
    assert line.endswith(" s, by earlier runs, less for what is stored")
    more = toy.runpytest_inprocess(
        *arguments, "--leakage-model=reference-clean", f"--leakage-store={tmp_path / 'b'}",
        "--leakage-generations=1", "--leakage-dataset=hexl", "--leakage-dataset=aexl",
    )  # fmt: skip
    said = announced(more)[0]
    assert said.startswith("leakage: 2 models, 64 prompts, 64 continuations; about ")
    assert " s for 1 of 4 measurements, by earlier runs" in said
