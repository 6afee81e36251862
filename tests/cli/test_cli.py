"""The command line."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exleak.cli import main
from exleak.reports import write_report
from exleak.store import write_generations
from tests.helpers.measurements import measurement, random_rows

ROWS = [
    {"id": "c", "control": None, "condition": "control", "concept": None,
     "prompt": "Complete the sentence: Her hobby is", "generations": ["painting.", "birds."]},
    {"id": "p", "control": "c", "condition": "positive", "concept": "I won a prize.",
     "prompt": "Complete the sentence: I won a prize. Her hobby is",
     "generations": ["a wonderful joy.", "great fun!"]},
    {"id": "t", "control": "c", "condition": "test", "concept": "paint",
     "prompt": "Paint. Her hobby is", "generations": ["painting walls.", "birds."]},
]  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A generations file."""
    path = tmp_path / "g.jsonl"
    path.write_text("\n".join(map(json.dumps, ROWS)))
    return path


def test_score_writes_a_report(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The table is printed, the report holds every rate."""
    out = file.with_name("out.json")
    assert main(["score", str(file), "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())["measurements"]
    assert found["expression"]["by_condition"]["positive"]["rate"] == 1.0
    assert found["expression"]["by_condition"]["negative"]["rate"] is None
    assert found["semantic"]["paired"]["n"] == 4
    assert "W_EL" in capsys.readouterr().out


def test_score_prints_a_report(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--json - prints JSON and nothing else."""
    assert main(["score", str(file), "--json", "-", "--raw", "--decimals", "3"]) == 0
    assert json.loads(capsys.readouterr().out)["schema"] == 1


@pytest.mark.parametrize("name", ["out.html", "out.md", "out", "deep/out.txt"])
def test_score_writes_json_whatever_the_suffix(name: str, file: Path) -> None:
    """The option is called --json."""
    out = file.parent / name
    assert main(["score", str(file), "--json", str(out)]) == 0
    assert json.loads(out.read_text())["schema"] == 1


def test_scored_reports_have_names_and_are_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two models on one dataset, whatever their files are called."""
    reports = []
    for name, seed in (("mine", 1), ("yours", 2)):
        path, out = tmp_path / f"{name}-run.jsonl", tmp_path / f"{name}.json"
        write_generations(path, random_rows(4, seed))
        reports.append(str(out))
        options = ["--model", name, "--dataset", "things", "--json", str(out)]
        assert main(["score", str(path), *options]) == 0
    assert "things" in capsys.readouterr().out
    found = json.loads((tmp_path / "mine.json").read_text())["measurements"][0]
    assert (found["model"], found["dataset"]) == ("mine", "things")
    assert main(["compare", *reports]) == 0
    head, row, legend = capsys.readouterr().out.splitlines()
    assert head.split()[-2:] == ["carry-over", "residual"]
    assert row.startswith("yours")
    measured = json.loads((tmp_path / "yours.json").read_text())["measurements"][0]["expression"]
    assert row.split()[-2] == f"{measured['carry_over']['share']['rate']:.3f}"
    assert "mean directional rate" in legend


def test_a_limit_sets_the_exit_status(file: Path) -> None:
    """One pair cannot be told from a limit; inconclusive is no failure."""
    assert main(["score", str(file), "--max-rate", "0.5"]) == 0
    assert main(["score", str(file), "--max-rate", "0.0"]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["FILE", "--max-rate", "2"], "max rate must be from 0 to 1"),
        (["FILE", "--decimals", "-1"], "decimals"),
        (["FILE", "--instrument", "./nowhere"], "nowhere"),
        (["FILE", "--json", "FOLDER"], "this is a folder"),
        (["FILE", "--json", "FILE/out.json"], "is a file, not a folder"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, file: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """No traceback."""
    if "--json" in arguments:
        monkeypatch.setattr("exleak.measurement.score", None)
    places = {"FILE": file, "FOLDER": file.parent}
    given = [re.sub("FILE|FOLDER", lambda m: str(places[m[0]]), text) for text in arguments]
    assert main(["score", *given]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
def test_any_encoding_of_the_terminal_will_do(encoding: str, tmp_path: Path) -> None:
    """What it lacks is a question mark; a report for a file is UTF-8 in any case."""
    path = tmp_path / "r.json"
    write_report(path, [measurement("μ-model"), measurement("β-model", seed=1)])

    def printed(*arguments: str) -> bytes:
        code = f"import sys; from exleak.cli import main; sys.exit(main({[*arguments]!r}))"
        environment = {**os.environ, "PYTHONIOENCODING": encoding}
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = printed("compare", str(path)).decode(encoding)
    assert ("Δ" if encoding == "utf-8" else "?") in table.splitlines()[0]
    assert "μ-model" in printed("report", str(path), "--to", "md").decode()
