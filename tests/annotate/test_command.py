"""The command line of the human check."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from exleak.annotate.export import HANDOUT
from exleak.annotate.key import read_key
from exleak.cli import annotate as command
from exleak.errors import ExleakError
from tests.helpers.people import MACHINE, Person, annotate, answer_sheet, write_run


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The simulated machine stands in for the embedded instrument."""
    monkeypatch.setattr("exleak.scoring.load_instrument", lambda name: MACHINE)


@pytest.fixture
def sheets(tmp_path: Path) -> list[Path]:
    """An export under ``out`` and the answers of three simulated people."""
    annotate("export", write_run(tmp_path / "run.jsonl"), "-o", tmp_path / "out")
    key = read_key(tmp_path / "out" / "key.json")
    return [answer_sheet(key, tmp_path / f"{name}.csv", Person(0.8, 0.1)) for name in "abc"]


def test_export_says_what_to_hand_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what not."""
    run = write_run(tmp_path / "run.jsonl")
    assert annotate("export", run, "-o", tmp_path / "out", "--items", "9") == 0
    printed = capsys.readouterr().out
    assert "9 items (3 positive, 3 neutral, 3 negative); a rate within about ±0.40" in printed
    assert f"give annotators {tmp_path / 'out' / HANDOUT}" in printed
    assert f"keep {tmp_path / 'out' / 'key.json'} to yourself" in printed


def test_a_dataset_is_exported_and_its_labels_compared(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Labelling needs neither a run nor an instrument."""
    annotate("export", "--dataset", "hexl", "-o", tmp_path / "out", "--precision", "0.1")
    key = read_key(tmp_path / "out" / "key.json")
    assert len(key.items) == 97
    rows = [{"export": key.export, "item": i.id, "label": i.condition} for i in key.items]
    for name in "ab":
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    sheets = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    assert annotate("agreement", *sheets, "--key", tmp_path / "out" / "key.json") == 0
    printed = capsys.readouterr().out
    assert re.search(r"majority as the dataset +1\.000  \[0\.9\d\d, 1\.000\]  \(n = 97\)", printed)


def test_agreement_reports_people_and_machine(
    sheets: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As text and as JSON, with the run's own rate."""
    out = tmp_path / "report.json"
    key = tmp_path / "out" / "key.json"
    assert annotate("agreement", *sheets, "--key", key, "--json", out) == 0
    printed = capsys.readouterr().out
    for name in ("raw agreement", "Fleiss' kappa", "Krippendorff's alpha", "human leakage rate",
                 "μ_EL of the run", "Cohen's kappa", "rank correlation", "influence seen",
                 "majority on", "clustered on the control", "human rate, corrected",
                 "λ = "):  # fmt: skip
        assert name in printed
    report = json.loads(out.read_text())
    assert report["schema"] == 1
    assert [found["question"] for found in report["agreement"]] == [
        "direction", "influence", "leaning",
    ]  # fmt: skip
    assert 0 <= report["comparison"]["human"]["value"] <= 1
    assert report["run"]["n"] == 24
    assert report["corrected"]["prompts"] == 24
    assert 0 <= report["corrected"]["rate"]["value"] <= 1
    assert set(report["annotators"]) == {"a", "b", "c"}


def test_json_alone_is_printed(sheets: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
    """--json - prints JSON and nothing else; without a key it says what is missing."""
    capsys.readouterr()
    assert annotate("agreement", *sheets, "--json", "-") == 0
    report = json.loads(capsys.readouterr().out)
    assert report["comparison"] is None
    assert "no key" in " ".join(report["notes"])


def test_one_annotator_alone_has_no_agreement(
    sheets: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is undefined, not perfect; the comparison with the machine remains."""
    annotate("agreement", sheets[0], "--key", tmp_path / "out" / "key.json")
    printed = capsys.readouterr().out
    assert re.search(r"raw agreement +undefined", printed)
    assert re.search(r"human leakage rate +0\.", printed)


def test_a_run_that_is_gone_or_changed_is_noted(
    sheets: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The rest of the report does not depend on it; naming another run is an error."""
    key = tmp_path / "out" / "key.json"
    run = tmp_path / "run.jsonl"
    write_run(run, seed=9)
    annotate("agreement", *sheets, "--key", key)
    assert "not the run that was exported" in capsys.readouterr().out
    with pytest.raises(ExleakError, match="not the run that was exported"):
        annotate("agreement", *sheets, "--key", key, "--run", run)
    run.unlink()
    annotate("agreement", *sheets, "--key", key)
    printed = capsys.readouterr().out
    assert "corrected human rate are missing" in printed
    assert "is gone; name its new place by --run" in printed
    with pytest.raises(ExleakError, match="cannot be read"):
        annotate("agreement", *sheets, "--key", key, "--run", run)


def test_too_few_items_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Six of nine are positive or negative; the rest of the report stands."""
    annotate("export", write_run(tmp_path / "run.jsonl"), "-o", tmp_path / "out", "--items", "9")
    path = tmp_path / "out" / "key.json"
    sheet = answer_sheet(read_key(path), tmp_path / "a.csv", Person())
    annotate("agreement", sheet, "--key", path)
    printed = capsys.readouterr().out
    assert "no corrected human rate: 6 positive and negative items have an answer" in printed
    assert "human leakage rate" in printed


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "-o", "OUT"], "give a RUN, or --dataset"),
        (["export", "RUN", "--dataset", "hexl", "-o", "OUT"], "give a RUN, or --dataset"),
        (["export", "nowhere.jsonl", "-o", "OUT"], "cannot be read"),
        (["export", "RUN", "-o", "OUT", "--items", "99"], "only 36 can be drawn"),
        (["agreement", "nowhere.csv"], "cannot be read"),
        (["agreement", "nowhere.csv", "--key", "nowhere.json"], "nowhere.json: cannot be read"),
    ],
)
def test_bad_input_is_an_exleak_error(arguments: list[str], message: str, tmp_path: Path) -> None:
    """Which the command line shows in one line; nothing is left half written."""
    run = write_run(tmp_path / "run.jsonl")
    places = {"OUT": str(tmp_path / "out"), "RUN": str(run)}
    with pytest.raises(ExleakError, match=message):
        annotate(*(places.get(argument, argument) for argument in arguments))
    assert not (tmp_path / "out").exists()


def test_the_command_imports_nothing_heavy() -> None:
    """Registering it costs every other command nothing."""
    heavy = ("numpy", "torch", "scipy")
    code = f"import sys, {command.__name__}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
