"""``exleak plan``."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from exleak.cli import main
from exleak.reports import write_report
from exleak.store import write_generations
from tests.helpers.measurements import measurement, random_rows


def test_a_plan_needs_no_torch() -> None:
    """Without a model there is nothing to load."""
    code = (
        "import sys\nfrom exleak.cli import main\n"
        "main(['plan', '--max-rate', '0.7', '--expected', '0.8', '--metric', 'directional'])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "limit 0.7: fails a model" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("next: ")


def test_a_model_is_tried(llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Time, memory and batch size; the plan as JSON."""
    out = tmp_path / "plan.json"
    options = ["--limit", "2", "--generations", "2", "--store", "none", "--json", str(out)]
    assert main(["plan", str(llama), *options]) == 0
    printed = capsys.readouterr().out
    assert "16 continuations at once, on cpu in float32; from a trial of 16" in printed
    assert f"plan: {out}" in printed
    found = json.loads(out.read_text())
    assert found["continuations"] == found["cost"]["continuations"] == 16
    assert found["cost"]["seconds"] > 0


def test_a_generations_file_tells_the_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its number of continuations is that of the plan."""
    path = tmp_path / "run.jsonl"
    write_generations(path, random_rows(20, 1))
    assert main(["plan", "--report", str(path), "--metric", "directional", "--json", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert 0 < found["parts"]["continuations"] <= 1
    assert found["generations"] == 10
    assert main(["plan", "--report", str(path), "--metric", "directional"]) == 0
    assert "between continuations; 10 more per prompt" in capsys.readouterr().out


def test_a_report_tells_what_it_can(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And where to find more; several measurements are refused."""
    path = tmp_path / "report.json"
    write_report(path, [measurement()])
    assert main(["plan", "--report", str(path)]) == 0
    assert "generations file tells" in capsys.readouterr().out
    write_report(path, [measurement(), measurement("other", seed=1)])
    assert main(["plan", "--report", str(path)]) == 2
    assert "it holds 2 measurements (runs/step-100 on hexl, other on hexl)" in (
        capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--expected", "0.8"], "give --max-rate, too"),
        (["--expected", "1", "--max-rate", "0.7"], "--expected must be above 0 and below 1"),
        (["--max-rate", "7"], "max rate must be from 0 to 1"),
        (["--margin", "-1"], "margin must be from 0 to 1"),
        (["--generations", "0"], "generations must be at least 1"),
        (["--batch-size", "0"], "batch_size must be"),
        (["--dataset", "nowhere"], "unknown dataset 'nowhere'"),
        (["--report", "nowhere.json"], "nowhere.json: cannot be read"),
        (["--report", "nowhere.jsonl"], "nowhere.jsonl: cannot be read"),
        (["nowhere", "--store", "none"], "nowhere"),
    ],
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback."""
    assert main(["plan", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
