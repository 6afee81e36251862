"""`exleak dataset dose`: rates against intensity, as a table, JSON and a plot."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from exleak import load_dataset
from exleak.cli import main
from exleak.reports import write_report
from tests.helpers.measurements import measurement


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A dataset with intensities, and the report of a measurement on it."""
    rows = [
        {"id": f"s{n}", "control": f"Thing {n} is", "positive": f"I saw good {n}.",
         "neutral": f"I saw it {n}.", "negative": f"I saw bad {n}.",
         "intensity": {"positive": 1 + n % 3, "negative": 1 + n % 3}}
        for n in range(15)
    ]  # fmt: skip
    data, report = tmp_path / "mine.jsonl", tmp_path / "report.json"
    data.write_text("\n".join(map(json.dumps, rows)))
    write_report(report, [measurement(model="$a$ <b>", dataset="mine")])
    return data, report


def test_the_command_prints_writes_and_draws(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """A table for people, JSON for programs, and a panel for each measurement."""
    data, report = map(str, files)
    out, picture = files[0].parent / "dose.json", files[0].parent / "dose.svg"
    assert main(
        ["dataset", "dose", data, report, report, "--json", str(out), "--plot", str(picture)]
    ) == 0  # fmt: skip
    said = capsys.readouterr().out
    assert "$a$ <b> on mine: rate against the intensity of the injected sentence" in said
    assert len(re.findall(r"directional  2 +5  ", said)) == 2
    first, second = json.loads(out.read_text())
    assert first == second
    assert [level["mean"] for level in first["expression"]["levels"]] == [1, 2, 3]
    assert picture.read_text().count('id="axes_') == 2


@pytest.mark.parametrize("option", [["--plot", "x.bmp"], ["--json", "."]])
def test_what_cannot_be_written_is_told_first(
    option: list[str], files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is read."""
    assert main(["dataset", "dose", "no.jsonl", "no.json", *option]) == 2
    assert option[1] in capsys.readouterr().err


def test_a_dataset_without_intensities_is_told(
    files: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """And a report on another dataset."""
    data, report = files
    rows = [json.loads(line) for line in data.read_text().splitlines()]
    data.write_text("\n".join(json.dumps({**row, "intensity": None}) for row in rows))
    assert load_dataset(data).samples[0].intensity == {}
    assert main(["dataset", "dose", str(data), str(report)]) == 2
    assert "has an 'intensity'" in capsys.readouterr().err
    assert main(["dataset", "dose", "hexl", str(report)]) == 2
    assert "measured on other prompts" in capsys.readouterr().err
