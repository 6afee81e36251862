"""The same measurement in several reports counts once; a padded family would weaken the test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import exleak
import exleak.reports
from exleak.cli import main
from exleak.cli.gate import judge_reports
from exleak.gate.families import adjusted
from exleak.gate.limits import Limits
from exleak.records import Measurement


@pytest.fixture(scope="module")
def made() -> Measurement:
    """A measurement of the leaky model on ten samples."""
    return exleak.measure(
        "reference-leaky", exleak.load_dataset("hexl", limit=10), store=None,
        sampling=exleak.Sampling(generations=2),
    )  # fmt: skip


def like(made: Measurement, p_value: float, **changes: Any) -> Measurement:
    """The measurement with another p-value, and whatever else is given."""
    return replace(made, expression=replace(made.expression, p_value=p_value), **changes)


def write(path: Path, *measurements: Measurement) -> str:
    """A report of measurements."""
    exleak.reports.write_report(path, measurements)
    return str(path)


@pytest.mark.parametrize("copies", ["twice", "copy", "link", "judged", "merged"])
def test_a_copy_does_not_weaken_the_test(
    copies: str, made: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """W_EL of .0008 fails at .001 however often the measurement is given."""
    one = like(made, 0.0008)
    first, second = write(tmp_path / "a.json", one), tmp_path / "b.json"
    if copies == "link":
        second.symlink_to(first)
    elif copies == "judged":
        main(["gate", first, "--max-rate", "1", "--json", str(second)])
    else:
        write(second, *([one, one] if copies == "merged" else [one]))
    files = [first, first] if copies == "twice" else [first, str(second)]
    assert main(["gate", first, "--significance", "forbid"]) == 1
    assert main(["gate", *files, "--significance", "forbid"]) == 1
    out = capsys.readouterr().out
    assert f"reference-leaky on hexl: given {3 if copies == 'merged' else 2} times" in out
    assert "Holm-adjusted" not in out


def test_a_copy_under_another_name_counts_once(made: Measurement) -> None:
    """As through a link to a checkpoint: both are listed, and neither weakens the other."""
    both = [like(made, 0.0008), like(made, 0.0008, model="another-name")]
    judged = judge_reports(both, Limits(significance="forbid"), None, Path())
    assert [found.verdict.outcome for found in judged] == ["fail", "fail"]


def test_further_runs_of_a_model_do_not_weaken_the_test(
    made: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ten runs with other seeds that show nothing: the one that fails alone still fails."""
    others = [like(made, 0.5, sampling={**made.sampling, "seed": seed}) for seed in range(1, 11)]
    path = write(tmp_path / "a.json", like(made, 0.0008), *others)
    assert main(["gate", path, "--significance", "forbid"]) == 1
    assert "11 different measurements under one name" in capsys.readouterr().out


def test_different_models_are_a_family(made: Measurement) -> None:
    """Holm's adjustment over two models, one of them measured twice."""
    seeds = {**made.sampling, "seed": 1}
    found = [
        like(made, 0.02), like(made, 0.03, sampling=seeds), like(made, 0.04, model="other"),
    ]  # fmt: skip
    assert adjusted(found) == {0: 0.04, 1: 0.06, 2: 0.04}


def test_a_report_shows_a_copy_once(
    made: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From another machine, too; with a note that does not get into the report."""
    paths = [write(tmp_path / "a.json", made),
             write(tmp_path / "b.json", replace(made, environment={}))]  # fmt: skip
    assert main(["report", *paths, "--to", "json"]) == 0
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["measurements"]) == 1
    assert "given more than once, shown once" in captured.err


def test_a_copy_is_nothing_to_compare(
    made: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A difference of 0 from itself says nothing."""
    path = write(tmp_path / "a.json", made)
    assert main(["compare", path, path]) == 2
    assert "given 2 times, counted once" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["gate", "report", "compare"])
@pytest.mark.parametrize("place", ["folder", "below a file"])
def test_where_nothing_can_be_written_is_told_first(
    command: str, place: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before a report is read."""
    (tmp_path / "file").touch()
    (tmp_path / "out.svg").mkdir()
    (tmp_path / "out.json").mkdir()
    suffix = "svg" if command == "compare" else "json"
    out = tmp_path / ("" if place == "folder" else "file") / f"out.{suffix}"
    options = {"gate": ["--max-rate", "1", "--json"], "report": ["-o"], "compare": ["--plot"]}
    assert main([command, str(tmp_path / "nowhere.json"), *options[command], str(out)]) == 2
    error = capsys.readouterr().err
    assert ("this is a folder" if place == "folder" else "is a file, not a folder") in error
