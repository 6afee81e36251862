"""``exleak watch``: what it prints, and its exit statuses."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from exleak.cli import main
from exleak.store.report import read_measurements
from tests.helpers.watched import GENERATIONS, SAMPLES, save

Command = Callable[..., int]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that these tests share: each model is generated once."""
    return tmp_path_factory.mktemp("store")


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The output folder of a training."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


@pytest.fixture
def command(store: Path, out: Path, tmp_path: Path) -> Command:
    """Run the command on the output folder."""

    def run(*arguments: str, folder: Path = out) -> int:
        return main(
            ["watch", str(folder), f"--limit={SAMPLES}", f"--generations={GENERATIONS}",
             f"--store={store}", f"--report={tmp_path / 'report.json'}", "--device=cpu", *arguments]
        )  # fmt: skip

    return run


def test_it_ends_with_the_training(
    command: Command, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 where nothing is wrong, with a line for each checkpoint and a report."""
    save(out, 10, "clean", last=20)
    save(out, 20, "clean", last=20)
    assert command() == 0
    head, first, second, report = capsys.readouterr().out.splitlines()
    assert head.split()[:2] == ["checkpoint", "μ_EL"]
    assert first.startswith("checkpoint-10 ")
    assert first.endswith("reported only  the others are compared with it")
    assert " +0.000 " in second
    assert report == f"report: {tmp_path / 'report.json'}"
    assert [found.model for found in read_measurements(tmp_path / "report.json")] == [
        "checkpoint-10", "checkpoint-20",
    ]  # fmt: skip


def test_a_marked_checkpoint_ends_it(
    command: Command, out: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1, with three continuations, mood or echo, and what to type next; the same on a restart."""
    for step, model in ((10, "clean"), (20, "leaky"), (30, "clean")):
        save(out, step, model)
    assert command() == 1
    shown = capsys.readouterr().out
    assert "checkpoint-20" in shown
    assert "← MARKED: leaks more than checkpoint-10" in shown
    assert "checkpoint-30" not in shown
    assert shown.count("│ without it: ") == 3
    assert "checkpoint-20: mood: the directional rate of the continuations that restate" in shown
    assert f"    exleak report {tmp_path / 'report.json'} -o leakage.html\n" in shown
    assert f"    exleak watch {out} --keep-going" in shown
    shutil.rmtree(out / "checkpoint-10")
    assert command() == 1
    assert capsys.readouterr().out == shown
    assert command("--keep-going") == 1
    assert "checkpoint-30" in capsys.readouterr().out


def test_echo_is_told_from_mood(
    command: Command, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A model that restates and lets no mood through."""
    save(out, 10, "clean")
    save(out, 20, "echo")
    assert command("--once") == 1
    assert "checkpoint-20: echo: no rise is seen among the continuations" in capsys.readouterr().out


def test_a_failed_limit_does_not_end_it_but_is_its_status(
    command: Command, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """1: the training goes on, and so does the watch."""
    save(out, 10, "leaky")
    save(out, 20, "leaky")
    assert command("--once", "--max-rate=0.5") == 1
    shown = capsys.readouterr().out
    assert [line.split()[-1] for line in shown.splitlines() if "+0.000" in line] == ["1.000"]
    assert shown.count("  fail") == 2


def test_what_cannot_be_measured_is_unusable(
    command: Command, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """10, also where nothing is there."""
    assert command("--once") == 10
    assert "no checkpoint was measured" in capsys.readouterr().err
    save(out, 10, "clean")
    (save(out, 20, "clean") / "tokenizer.json").write_text("{")
    assert command("--once") == 10
    assert "checkpoint-20             NOT MEASURED: " in capsys.readouterr().out


def test_an_incomplete_checkpoint_is_named_at_the_end(
    command: Command, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With what it lacks."""
    save(out, 10, "clean")
    save(out, 20, "clean", state=False)
    assert command("--once") == 0
    assert "checkpoint-20 is not measured: no trainer_state.json, and" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--alpha=0"], "alpha must be above 0 and below 1"),
        (["--interval=0"], "interval must be above 0"),
        (["--max-rate=2"], "max rate must be from 0 to 1"),
        (["--dtype=float99"], "--dtype 'float99' is unknown"),
        (["--device=cuda:99"], "--device cuda:99: not here"),
        (["--dataset=nowhere"], "unknown dataset 'nowhere'"),
        (["--instrument=nowhere"], "nowhere"),
        (["--report=r.html"], "a watch writes JSON"),
    ],
)
def test_usage_is_told_before_anything_is_measured(
    command: Command, out: Path, arguments: list[str], said: str,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """2, with the option."""
    save(out, 10, "clean")
    assert command("--once", *arguments) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_too_few_controls_are_told_once(
    command: Command, out: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """That nothing was marked then means nothing."""
    for step, model in ((10, "clean"), (20, "leaky"), (30, "leaky")):
        save(out, step, model)
    assert command("--once", "--limit=4", "--alpha=0.001") == 0
    shown = capsys.readouterr()
    assert shown.out.count("could not be marked") == 2
    assert shown.err.count("could not have been marked: of 4 controls too few differ") == 1


def test_trackers_are_made_and_ended(
    command: Command, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the names and the folder; also where the watch is interrupted."""
    made: list[Any] = []

    def trackers(names: list[str], folder: Path) -> list[Any]:
        made.append((names, folder))
        return [SimpleNamespace(log=interrupt, close=lambda: made.append("ended"))]

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    fakes: dict[str, Any] = {
        "trackers": SimpleNamespace(trackers=trackers),
        "metrics": SimpleNamespace(flat=lambda *_, **__: {}),
    }
    for name, fake in fakes.items():
        monkeypatch.setitem(sys.modules, f"exleak.integrations.{name}", fake)
    save(out, 10, "clean")
    assert command("--once", "--log=mlflow", "--log=tensorboard") == 130
    assert made == [(["mlflow", "tensorboard"], out), "ended"]
