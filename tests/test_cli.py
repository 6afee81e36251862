"""The command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from exleak.cli import main
from exleak.reports import write_report
from tests.reports.made import measurement

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
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback."""
    given = [str(file) if argument == "FILE" else argument for argument in arguments]
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
