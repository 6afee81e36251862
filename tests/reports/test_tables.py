"""The table of rates for other tools, and ``exleak report``."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from exleak.cli import main
from exleak.reports import render, terminal, write_report
from tests.helpers.measurements import measurement, mitigated
from tests.helpers.numbers import at, is_rounded


@pytest.fixture
def reports(tmp_path: Path) -> list[str]:
    """Two reports; the first measurement is in both."""
    write_report(tmp_path / "a.json", [measurement()])
    write_report(tmp_path / "b.json", [measurement(), measurement("other", "aexl", seed=1)])
    return [str(tmp_path / "a.json"), str(tmp_path / "b.json")]


def test_csv_has_the_numbers_of_the_json() -> None:
    """All digits of them; undefined ones are empty."""
    found = measurement(limit=None)
    (row,) = csv.DictReader(io.StringIO(render("csv", [found]).removeprefix("\ufeff")))
    assert float(row["mu_el"]) == found.expression.rate
    assert float(row["mu_el_high"]) == (found.expression.interval or (0, 0))[1]
    assert float(row["w_el"]) == found.expression.p_value
    assert float(row["mu_l_paired"]) == found.semantic.paired.rate
    assert row["limit"] == row["outcome"] == ""


@pytest.mark.parametrize("name", ["=1+1", "+a", "-a", "@a", "\tx", "＝1+1"])
def test_no_csv_cell_is_a_formula(name: str) -> None:
    """Whatever a model is called."""
    text = render("csv", [replace(measurement(), model=name, dataset=name)])
    for row in csv.reader(io.StringIO(text.removeprefix("\ufeff"))):
        assert not any(re.match(r"[=+\-@\t\r＝]", cell) for cell in row)


def test_latex_has_the_numbers_of_the_json() -> None:
    """Rounded, one line a measurement."""
    found = [measurement(), measurement("other", seed=1)]
    lines = render("latex", found).splitlines()[4:6]
    for index, line in enumerate(lines):
        cells = line.removesuffix(r" \\").split(" & ")
        assert is_rounded(cells[2], at(found, f"{index}.expression.rate"))
        assert is_rounded(cells[5], at(found, f"{index}.expression.directional.rate"))
        assert is_rounded(cells[6], at(found, f"{index}.expression.carry_over.share.rate"))
        assert is_rounded(cells[7], at(found, f"{index}.expression.residual.directional.rate"))
        assert is_rounded(cells[8], at(found, f"{index}.semantic.instance.rate"))


@pytest.mark.parametrize("kind", ["html", "md", "latex"])
def test_a_mitigated_run_is_told_from_a_plain_one(kind: str) -> None:
    """Wherever the model is named: in tables, captions and remarks."""
    name = "runs/step-100"
    plain, both = render(kind, [measurement()]), render(kind, [measurement(), mitigated()])
    assert "with mitigation" not in plain.partition("<figure>")[0]
    assert f"{name}, with mitigation" in both
    alone = render(kind, [mitigated()])
    assert alone.count(name) == alone.count(f"{name}, with mitigation") > 0


def test_a_terminal_tells_a_mitigated_run_from_a_plain_one() -> None:
    """In the table, and before what is noted of it."""
    found = mitigated()
    found = replace(found, notes=("odd",))
    lines = [line for line, _ in terminal.table([measurement(), found], set())]
    assert [line.partition("  ")[0] for line in lines[1:]] == [
        "runs/step-100",
        "runs/step-100, with mitigation",
    ]
    notes = list(terminal.next_steps([found], set(), has_report=True))
    assert "runs/step-100, with mitigation on hexl: odd" in notes


def test_csv_has_the_mitigation_instruction() -> None:
    """In a column of its own; the model's name stays what it is."""
    text = render("csv", [measurement(), mitigated()]).removeprefix("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["mitigation"] for row in rows] == ["", "Stay calm."]
    assert {row["model"] for row in rows} == {"runs/step-100"}


def test_latex_is_escaped() -> None:
    """No name is a command, a comment or a column."""
    name = "\\input{x} & 100% $x_1^2$ # ~ {"
    line = render("latex", [replace(measurement(), model=name)]).splitlines()[4]
    assert line.startswith(
        r"\textbackslash{}input\{x\} \& 100\% \$x\_1\textasciicircum{}2\$ \# \textasciitilde{} \{ &"
    )


@pytest.mark.parametrize(
    ("kind", "sign"),
    [
        ("html", "<!doctype html>"),
        ("md", "### Expression leakage"),
        ("latex", r"\begin{tabular}"),
        ("csv", '\ufeff"model"'),
        ("json", "{"),
    ],
)
def test_reports_become_one(
    kind: str, sign: str, reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Of every kind; what is in both is in it once."""
    assert main(["report", *reports, "--to", kind]) == 0
    found = capsys.readouterr().out
    assert found.startswith(sign)
    if kind == "json":
        models = [one["model"] for one in json.loads(found)["measurements"]]
        assert models == ["runs/step-100", "other"]


def test_the_suffix_tells_the_kind(reports: list[str], tmp_path: Path) -> None:
    """Without --to."""
    out = tmp_path / "all.tex"
    assert main(["report", *reports, "-o", str(out)]) == 0
    assert out.read_text().startswith(r"\begin{tabular}")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nowhere.json", "--to", "md"], "nowhere.json: cannot be read"),
        (["REPORT"], "give the kind of report: --to"),
        (["REPORT", "-o", "out.pdf"], "the suffix must be one of"),
        (["REPORT", "-o", "-"], "give the kind of report: --to"),
    ],
    ids=("missing", "no kind", "suffix", "print"),
)
def test_bad_input_is_one_line_and_status_2(
    arguments: list[str], message: str, reports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """No traceback, no file."""
    assert main(["report", *(reports[0] if a == "REPORT" else a for a in arguments)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_a_report_may_be_read_by_whoever_the_umask_lets(tmp_path: Path) -> None:
    """It is made to be handed on: a web server or a colleague opens it, too."""
    before = os.umask(0o022)
    try:
        write_report(tmp_path / "r.md", [measurement()])
    finally:
        os.umask(before)
    assert (tmp_path / "r.md").stat().st_mode & 0o777 == 0o644
    assert [path.name for path in tmp_path.iterdir()] == ["r.md"]
