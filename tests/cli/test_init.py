"""``exleak init``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from exleak import reference
from exleak.cli import main


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a checkpoint, and the place where the command is given."""
    monkeypatch.setattr("exleak.starting.files.requirement", lambda: ("exleak", False))
    shutil.copytree(reference.path("clean"), tmp_path / "runs" / "my model")
    (tmp_path / "runs" / "step-1").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> list[str]:
    """The files outside of ``runs``."""
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in files if path.parts[0] != "runs")


def test_it_says_what_it_found_and_wrote(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the next command."""
    assert main(["init"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == [
        "found    my model in runs/my model",
        "left out runs/step-1: no config.json",
        "wrote    tests/test_leakage.py",
        "wrote    leakage.toml",
        "wrote    .gitignore",
        "wrote    .github/workflows/leakage.yml: its `pip install exleak` needs an address",
        "next, run",
        "    pytest tests/test_leakage.py --leakage-report-only",
        "then set max_rate in leakage.toml, and leave --leakage-report-only out",
    ]
    assert contents(repository) == [
        ".github/workflows/leakage.yml", ".gitignore", "leakage.toml", "tests/test_leakage.py",
    ]  # fmt: skip


def test_a_dry_run_writes_nothing(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It shows the texts."""
    assert main(["init", "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "to write leakage.toml\n    # The models" in out
    assert '    [models."my model"]\n' in out
    assert contents(repository) == []


def test_what_is_kept_is_named(repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what its reader may add."""
    (repository / "leakage.toml").write_text("[models.other]\n")
    (repository / "tests").mkdir()
    (repository / "tests" / "test_leakage.py").write_text("")
    assert main(["init", "--depth", "1"]) == 0
    out = capsys.readouterr().out
    assert "kept     leakage.toml, which is there, without my model\n    [models." in out
    assert "add the line above to tests/test_leakage.py, then run\n    pytest tests" in out


def test_another_folder_is_entered_first(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next command is for the shell; without a checkpoint, that is said."""
    (repository / "a b").mkdir()
    assert main(["init", "a b"]) == 0
    out = capsys.readouterr().out
    assert "no checkpoint found" in out
    assert "    cd 'a b' && pytest tests/test_leakage.py --leakage-report-only\n" in out


def test_folders_names_cannot_write_to_the_terminal(
    repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Line breaks and escape sequences are replaced."""
    (repository / "runs" / "my model").rename(repository / "runs" / "a\n\x1b[31mb")
    assert main(["init"]) == 0
    assert "found    a��[31mb in runs/a��[31mb\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [["nowhere"], ["--depth=-1"], ["runs"]])
def test_what_cannot_be_done_is_an_error(
    arguments: list[str], repository: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing is written: pytest's root is above ``runs``."""
    (repository / "pytest.ini").write_text("[pytest]\n")
    assert main(["init", *arguments]) == 2
    assert capsys.readouterr().err.startswith("exleak init: ")
    assert contents(repository) == ["pytest.ini"]
