"""GitLab's code-quality report, and the places of models in leakage.toml."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from exleak.cli import main
from exleak.records import Finding, Verdict
from exleak.reports import kind_of, render, write_report
from exleak.reports.places import entry_line, place_of
from tests.helpers.measurements import HOSTILE, measurement

#: A leakage.toml that names a model where no entry of it begins.
TRICKY = '''# [models.tiny] is below
[models.first]
xfail = """
[models.tiny]
"""
path = "tiny"

[models]
"1.5" = { path = "x", max_rate = 0.5 }
tiny.path = "y"

[models."a=b"]
[models.'tiny' ]  # twice is an error
'''


def issues(*verdicts: Verdict, **about: Any) -> list[dict[str, Any]]:
    """The issues of measurements with these verdicts."""
    found = [replace(measurement(), verdict=verdict, **about) for verdict in verdicts]
    read: list[dict[str, Any]] = json.loads(render("gitlab", found))
    return read


FAILING = Verdict(
    "fail",
    findings=(
        Finding("limit", "fail", "μ_EL 0.9 is above"),
        Finding("significance", "pass", "fine"),
        Finding("baseline", "inconclusive", "cannot be told"),
    ),
)


def test_each_rule_that_is_not_passed_is_an_issue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the entry of the model, with what GitLab reads."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CI_PROJECT_DIR", raising=False)
    (tmp_path / "leakage.toml").write_text("\n[models.other]\n[models.tiny]\n")
    first, second = issues(FAILING, model="tiny")
    assert first["description"] == "tiny on hexl: fail: μ_EL 0.9 is above"
    assert first["check_name"] == "expression-leakage/limit"
    assert first["location"] == {"path": "leakage.toml", "lines": {"begin": 3}}
    assert [issue["severity"] for issue in (first, second)] == ["critical", "minor"]
    assert second["check_name"] == "expression-leakage/baseline"


def test_a_place_is_told_from_the_top_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the job works in a folder; a model without an entry is at line 1."""
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "leakage.toml").write_text("\n[models.tiny]\n")
    monkeypatch.chdir(tmp_path / "training")
    monkeypatch.setenv("CI_PROJECT_DIR", str(tmp_path))
    assert issues(FAILING, model="tiny")[0]["location"] == {
        "path": "training/leakage.toml", "lines": {"begin": 2},
    }  # fmt: skip
    assert issues(FAILING, model="unknown")[0]["location"] == {
        "path": "leakage.toml", "lines": {"begin": 1},
    }  # fmt: skip


def test_what_passes_is_no_issue() -> None:
    """Nor what was only reported: the list is empty, and still a list."""
    passing = Verdict("pass", findings=(Finding("limit", "pass", "fine"),))
    assert issues(passing, Verdict(None, ("no limit",))) == issues() == []


def test_a_report_of_an_earlier_version_has_one_issue() -> None:
    """It has reasons, but no findings."""
    (found,) = issues(Verdict("unusable", ("no words",)))
    assert found["severity"] == "blocker"
    assert found["check_name"] == "expression-leakage/verdict"
    assert found["description"].endswith("unusable: no words")


def test_a_fingerprint_stays_while_the_outcome_does() -> None:
    """Another rate is the same issue; another rule, outcome, model or setting is another."""
    (first,) = issues(Verdict("fail", ("0.9",)))
    (again,) = issues(Verdict("fail", ("0.8",)))
    assert first["fingerprint"] == again["fingerprint"]
    others = [
        *issues(Verdict("unusable", ("0.9",))),
        *issues(FAILING),
        *issues(Verdict("fail", ("0.9",)), model="other"),
        *issues(Verdict("fail", ("0.9",)), dataset="aexl"),
        *issues(Verdict("fail", ("0.9",)), sampling={"seed": 1}),
    ]
    assert len({issue["fingerprint"] for issue in [first, *others]}) == 7


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_one_printable_line(text: str) -> None:
    """GitLab shows them as text."""
    (found,) = issues(Verdict("fail", (text,)), model=text)
    assert found["description"].isprintable()
    assert len(found["description"]) <= 1000


def test_the_longest_suffix_names_the_kind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A code-quality report is JSON, too; a hidden file has no suffix."""
    assert kind_of(Path("out/leakage.codequality.json")) == "gitlab"
    assert kind_of(Path("leakage.json")) == "json"
    report, out = tmp_path / "r.json", tmp_path / "r.codequality.json"
    write_report(report, [replace(measurement(), verdict=FAILING)])
    assert main(["report", str(report), "-o", str(out)]) == 0
    assert len(json.loads(out.read_text(encoding="utf-8"))) == 2
    assert main(["report", str(report), "-o", str(tmp_path / ".json")]) == 2
    assert "suffix" in capsys.readouterr().err


def test_entries_are_found_where_they_begin() -> None:
    """Not in comments, texts or values; in tables, inline tables and dotted names."""
    text = TRICKY.partition("[models.'tiny'")[0]
    expected = {"first": 2, "1.5": 9, "tiny": 10, "a=b": 12, "x": None, "nowhere": None}
    assert {name: entry_line(text, name) for name in expected} == expected


def test_a_damaged_leakage_toml_has_no_place(tmp_path: Path) -> None:
    """Nothing is guessed: not from what is no TOML, no text, elsewhere or not there."""
    toml = tmp_path / "leakage.toml"
    assert place_of("tiny", toml, tmp_path) is None
    toml.write_bytes(b"[models.tiny]\n\xff")
    assert place_of("tiny", toml, tmp_path) is None
    toml.write_text("[models.other\n[models.tiny]\n")
    assert place_of("tiny", toml, tmp_path) is None
    toml.write_text("models = 'tiny'\ntiny = 1\n")
    assert place_of("tiny", toml, tmp_path) is None
    toml.write_bytes(b"\xef\xbb\xbf\r\n[models.'tiny' ]\r\n")
    assert place_of("tiny", toml, tmp_path / "below") is None
    assert place_of("tiny", toml, tmp_path) == ("leakage.toml", 2)
