"""A toy training repository: one import line, and a model folder beside it."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen

import pytest

import exleak
import leakage_fixtures
from exleak.reports import write_report

Run = Callable[..., pytest.RunResult]

#: A conftest.py under which no sentence can be scored, until its session ends.
UNUSABLE = """
import pytest
import exleak.prompts

@pytest.fixture(autouse=True, scope="session")
def unusable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exleak.prompts, "is_usable", lambda sentence: False)
        yield
"""


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random Llama that writes short sentences, which take little time to score."""
    from tests.helpers import checkpoints

    folder = tmp_path_factory.mktemp("checkpoints") / "llama"
    return checkpoints.save_stand_in(folder, "Llama", instruct=False, seed=0)


@pytest.fixture(scope="session", autouse=True)
def _modules_stay(llama: Path) -> None:
    """Import what a session needs, and load the instrument, before the first one.

    pytester forgets the modules that a session within the process has imported: each would import
    and load everything again, Hypothesis too, whose plugin asks for it at the end. The modules for
    training loops and other tools stay out: no session imports them, and each needs a package of
    its own.
    """
    importlib.import_module("hypothesis")
    for package in (exleak, leakage_fixtures):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not re.search(r"__main__$|\.integrations\.|\.tasks\.", module.name):
                importlib.import_module(module.name)
    data = exleak.load_dataset("hexl", limit=1)
    sampling = exleak.Sampling(max_new_tokens=4)
    found = exleak.measure(str(llama), data, sampling=sampling, store=None)
    write_report(llama.with_name("report.html"), [found])


@pytest.fixture(scope="module", autouse=True)
def _warm(warm: None) -> None:
    """Start the sessions' processes with their imports done."""


@pytest.fixture
def cold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start processes that have imported nothing."""
    monkeypatch.setattr(subprocess, "Popen", Popen)


@pytest.fixture
def toy(pytester: pytest.Pytester) -> pytest.Pytester:
    """A repository that has nothing but the import line."""
    pytester.makepyfile(test_leakage="from leakage_fixtures.suite import TestLeakage")
    return pytester


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What was generated and scored by the tests before, so that few workers need a model."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def measure(toy: pytest.Pytester, store: Path) -> Run:
    """Run the toy repository's tests on three samples, with few and short continuations."""

    def run(*arguments: object) -> pytest.RunResult:
        return toy.runpytest_inprocess(
            "-p",
            "no:cacheprovider",
            "--leakage-limit=3",
            "--leakage-generations=2",
            f"--leakage-store={store}",
            *map(str, arguments),
        )

    return run
