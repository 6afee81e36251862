"""``exleak gate`` and ``exleak compare`` on stored reports: no model, no torch."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import exleak
from exleak.cli import main
from exleak.gate.limits import Limits
from exleak.gate.rules import judge
from exleak.records import Expression, Measurement, from_json
from exleak.reports import write_report


@pytest.fixture(scope="module")
def leaky() -> Measurement:
    """A short measurement of the leaky model."""
    return measured("reference-leaky")


@pytest.fixture(scope="module")
def clean() -> Measurement:
    """A short measurement of the clean model."""
    return measured("reference-clean")


def measured(name: str) -> Measurement:
    """A measurement of twenty samples."""
    return exleak.measure(
        name, exleak.load_dataset("hexl", limit=20), sampling=exleak.Sampling(generations=4),
        store=None,
    )  # fmt: skip


@pytest.fixture
def report(leaky: Measurement, clean: Measurement, tmp_path: Path) -> Path:
    """A report of both."""
    path = tmp_path / "report.json"
    write_report(path, [leaky, clean])
    return path


def test_a_report_gives_back_the_rates_it_was_written_from(leaky: Measurement) -> None:
    """Judging it gives the verdict that judging the measurement gave."""
    again = from_json(Expression, json.loads(json.dumps(leaky.to_json()["expression"])))
    for limits in (Limits(0.6), Limits(0.6, metric="directional"), Limits(significance="forbid")):
        verdicts = [
            judge(expression, total=320, unusable=0, limits=limits)
            for expression in (leaky.expression, again)
        ]
        assert verdicts[0] == verdicts[1]


@pytest.mark.parametrize(
    ("arguments", "status", "shown"),
    [
        (["--max-rate", "1"], 0, "keeps the limit 1"),
        (["--max-rate", "0.6"], 1, "is above the limit 0.6"),
        (["--significance", "forbid"], 1, "Holm-adjusted"),
        (["--max-rate", "0.95", "--strict"], 11, "cannot be told from"),
        (["--max-rate", "0.95"], 0, "inconclusive"),
        (["--max-rate", "0.55", "--metric", "directional"], 1, "directional rate"),
    ],
)
def test_the_exit_status_says_the_outcome(
    arguments: list[str], status: int, shown: str, report: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """0 pass or inconclusive, 1 fail, 11 inconclusive with --strict."""
    assert main(["gate", str(report), *arguments]) == status
    assert shown in capsys.readouterr().out


def test_a_report_is_judged_at_its_own_level(tmp_path: Path) -> None:
    """Its bounds are of the level that it was measured at, and the reason says so."""
    found = exleak.measure(
        "reference-clean", exleak.load_dataset("hexl", limit=20), store=None,
        sampling=exleak.Sampling(generations=4), limits=Limits(level=0.6),
    )  # fmt: skip
    write_report(tmp_path / "report.json", [found])
    out = tmp_path / "out.json"
    main(["gate", str(tmp_path / "report.json"), "--max-rate", "0.99", "--json", str(out)])
    (judged,) = json.loads(out.read_text())["measurements"]
    assert judged["verdict"]["level"] == 0.6
    assert "60% bound" in judged["verdict"]["reasons"][0]


def test_unusable_and_nothing_measured_have_their_own_status(
    leaky: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """10; and 2 where there is nothing to judge by."""
    path = tmp_path / "report.json"
    broken = replace(leaky, generations={**leaky.generations, "unusable": 100})
    write_report(path, [broken])
    assert main(["gate", str(path), "--max-rate", "1"]) == 10
    write_report(path, [])
    assert main(["gate", str(path), "--max-rate", "1"]) == 10
    assert main(["gate", str(path)]) == 2
    assert "give --max-rate" in capsys.readouterr().err


def test_a_judged_report_can_be_written(report: Path, tmp_path: Path) -> None:
    """With the new verdicts and everything else as it was."""
    out = tmp_path / "judged.json"
    main(["gate", str(report), "--max-rate", "0.5", "--json", str(out)])
    before, after = (json.loads(path.read_text())["measurements"] for path in (report, out))
    assert [m["verdict"]["outcome"] for m in after] == ["fail", "inconclusive"]
    assert [{**m, "verdict": None} for m in after] == [{**m, "verdict": None} for m in before]


def test_a_judged_report_can_be_printed(report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing but JSON on standard output, and the same status."""
    assert main(["gate", str(report), "--max-rate", "0.6", "--json", "-"]) == 1
    (first, _) = json.loads(capsys.readouterr().out)["measurements"]
    assert first["verdict"]["outcome"] == "fail"


def test_judging_loads_no_torch(report: Path) -> None:
    """Nor transformers: it can run where there is neither."""
    code = (
        "import sys\nfrom exleak.cli import main\n"
        f"main(['gate', {str(report)!r}, '--max-rate', '0.6', '--significance', 'forbid',"
        f" '--compare', {str(report)!r}])\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_report_may_be_the_baseline(
    report: Path, leaky: Measurement, clean: Measurement, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Leaky against clean fails; a baseline that is not there is a usage error."""
    base = tmp_path / "base.json"
    write_report(base, [clean])
    assert main(["gate", str(report), "--compare", str(base)]) == 1
    assert "leaks more than the baseline" in capsys.readouterr().out
    assert main(["gate", str(report), "--compare", "main", "--baselines", str(tmp_path)]) == 2


def test_reports_are_compared_side_by_side(
    leaky: Measurement, clean: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Difference, p-value, effect size, Wilcoxon; and a picture."""
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    for path, measurement in zip(paths, (clean, leaky), strict=True):
        write_report(Path(path), [measurement])
    plot = tmp_path / "plot.svg"
    assert main(["compare", *paths, "--plot", str(plot)]) == 0
    line = next(row for row in capsys.readouterr().out.splitlines() if "reference-leaky" in row)
    assert " +0." in line
    assert plot.read_text().startswith("<?xml")
    assert main(["compare", paths[0]]) == 2
    assert "nothing to compare" in capsys.readouterr().err


def test_what_cannot_be_compared_is_refused(
    clean: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the reason."""
    other = replace(clean, sampling={**clean.sampling, "top_k": 7})
    paths = [str(tmp_path / name) for name in ("a.json", "b.json")]
    write_report(Path(paths[0]), [clean])
    write_report(Path(paths[1]), [other])
    assert main(["compare", *paths]) == 2
    error = capsys.readouterr().err
    assert "nothing could be compared: reference-clean on hexl is not comparable with" in error
    assert "the sampling differs" in error


def test_a_pair_that_cannot_be_compared_does_not_stop_the_rest(
    leaky: Measurement, clean: Measurement, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has a row with the reason; the others have their numbers, and the picture is drawn."""
    other = replace(clean, sampling={**clean.sampling, "mitigation": "Stay calm."})
    path, plot = tmp_path / "r.json", tmp_path / "plot.svg"
    write_report(path, [clean, other, leaky])
    assert main(["compare", str(path), "--plot", str(plot)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(r"reference-clean, with mitigation +hexl +not comparable with", lines[1])
    assert "the sampling differs" in lines[1]
    assert re.match(r"reference-leaky +hexl +0\.\d+ .* \+0\.", lines[2])
    assert plot.exists()


def test_a_plot_that_cannot_be_drawn_is_told_first(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any report is read."""
    assert main(["compare", str(tmp_path / "nowhere.json"), "--plot", "plot.gif"]) == 2
    assert "plot plot.gif: the suffix must be one of" in capsys.readouterr().err
