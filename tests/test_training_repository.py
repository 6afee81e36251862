"""``examples/training-repository``: its commands, as its README has them, on less."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from exleak.store.report import read_measurements

EXAMPLE = Path(__file__).parents[1] / "examples" / "training-repository"
#: What is added to each command, so that a test takes seconds.
LESS = {
    "python": ("--steps=3", "--samples=1"),
    "pytest": ("--leakage-limit=3", "--leakage-generations=2", "--leakage-report=report.json"),
}


def commands() -> list[list[str]]:
    """The commands in the README."""
    blocks = re.findall(r"^```\n(.*?)^```$", (EXAMPLE / "README.md").read_text(), re.M | re.S)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example."""
    place = tmp_path_factory.mktemp("example") / "training-repository"
    ignored = shutil.ignore_patterns("runs", ".*", "__pycache__", "leakage.html")
    shutil.copytree(EXAMPLE, place, ignore=ignored)
    return place


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of the README, on less."""
    program, *arguments = command
    start = [sys.executable] if program == "python" else [sys.executable, "-m", program]
    return subprocess.run(
        [*start, *arguments, *LESS[program]], cwd=folder, capture_output=True, encoding="utf-8",
        check=False, env={**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1])},
    )  # fmt: skip


def test_its_commands_run(repository: Path) -> None:
    """The training measures its checkpoints; the gate measures the base and the last of them."""
    train, gate, series = commands()
    trained = run(train, repository)
    assert trained.returncode == 0, trained.stderr
    assert len(re.findall(r"^step +\d  loss ", trained.stdout, flags=re.M)) == 3
    assert "eval_leakage_directional 0." in trained.stdout
    measured = sorted(path.name for path in (repository / "runs/moody/leakage").glob("*.json"))
    assert measured == [f"step-{step}.json" for step in range(4)]
    # Three steps in place of 120.
    (repository / "runs/moody/checkpoint-3").rename(repository / "runs/moody/checkpoint-120")
    gated = run(gate, repository)
    assert gated.returncode in (0, 1, 10), gated.stdout + gated.stderr
    assert [found.model for found in read_measurements(repository / "report.json")] == [
        "base", "moody",
    ]  # fmt: skip
    assert (repository / "leakage.html").is_file()
    followed = run(series, repository)
    # After so few steps, what a model writes may be unusable.
    assert followed.returncode in (0, 10), followed.stdout + followed.stderr
    models = [found.model for found in read_measurements(repository / "report.json")]
    assert models == ["checkpoint-1", "checkpoint-2", "checkpoint-120"]


def test_its_gate_names_the_last_checkpoint_of_its_training() -> None:
    """Both have a limit."""
    models = tomllib.loads((EXAMPLE / "leakage.toml").read_text())["models"]
    steps = re.search(r'"--steps", type=int, default=(\d+)', (EXAMPLE / "train.py").read_text())
    assert steps
    assert models["moody"]["path"] == f"runs/moody/checkpoint-{steps[1]}"
    assert all("max_rate" in model for model in models.values())
