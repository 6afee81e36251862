"""What GitHub Actions shows of a session: annotations, outputs and the job summary."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from leakage_fixtures.github import commands
from leakage_fixtures.guard import NOT_MEASURED
from leakage_fixtures.standing import Standing, worst
from tests.helpers.actions import read_outputs
from tests.plugin.conftest import UNUSABLE, Run


@pytest.fixture
def outputs(toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Callable[[], dict[str, str]]:
    """The environment of a step; reads its outputs, and empties them."""
    place = toy.path / "outputs"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_WORKSPACE", str(toy.path))
    monkeypatch.setenv("GITHUB_OUTPUT", str(place))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(toy.path / "summary.md"))
    monkeypatch.delenv("EXLEAK_ANNOTATIONS", raising=False)

    def read() -> dict[str, str]:
        text = place.read_text(encoding="utf-8") if place.exists() else ""
        place.unlink(missing_ok=True)
        return read_outputs(text)

    return read


def annotated(result: pytest.RunResult) -> list[str]:
    """The annotations that were printed."""
    return [line for line in result.outlines if line.startswith(("::error", "::warning"))]


def entries(toy: pytest.Pytester, llama: Path, **models: str) -> None:
    """Write a leakage.toml with these models and what their entries have besides."""
    text = "".join(
        f'[models.{name}]\npath = "{llama}"\ndevice = "cpu"\n{rest}\n'
        for name, rest in models.items()
    )
    (toy.path / "leakage.toml").write_text(text)


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_failures_are_errors_and_doubts_are_warnings(
    workers: tuple[str, ...],
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    outputs: Callable[[], dict[str, str]],
) -> None:
    """On the lines of the entries; what passes, or fails as expected, is not annotated."""
    entries(
        toy, llama,
        good="max_rate = 1.0",
        bad='significance = "require"',
        known='significance = "require"\nxfail = "issue 12"',
        unsure="max_rate = 0.5",
        strict="max_rate = 0.5\nstrict = true",
    )  # fmt: skip
    result = measure("--leakage-report=out.json", *workers)
    bad, strict, unsure = annotated(result)
    title = "title=Expression leakage%3A"
    assert bad.startswith(f"::error file=leakage.toml,line=5,{title} bad on hexl%3A fail::")
    assert "W_EL" in bad
    assert strict.startswith(f"::error file=leakage.toml,line=18,{title} strict on hexl%3A inc")
    assert unsure.startswith(f"::warning file=leakage.toml,line=14,{title} unsure on hexl%3A inc")
    found = outputs()
    assert found["outcome"] == "fail"
    assert json.loads(found["failed"]) == ["bad", "strict"]
    assert found["headline"] == "2 fail, 2 inconclusive, 1 pass"
    assert found["report"] == "out.json"
    rates = [
        m["expression"]["rate"] for m in json.loads(Path("out.json").read_text())["measurements"]
    ]
    assert float(found["worst-rate"]) == pytest.approx(max(rates))
    assert result.ret == 1


def test_a_model_that_does_not_fail_as_expected_is_an_error(
    measure: Run, toy: pytest.Pytester, llama: Path, outputs: Callable[[], dict[str, str]]
) -> None:
    """Whether it passes or cannot be told; the reason of the entry is quoted."""
    entries(
        toy, llama,
        passes='max_rate = 1.0\nxfail = "issue 12"',
        unsure='max_rate = 0.5\nxfail = "issue 13"',
    )  # fmt: skip
    passes, unsure = annotated(measure())
    assert passes.startswith("::error file=leakage.toml,line=1,")
    assert "expected to fail (issue 12), and does not" in passes
    assert unsure.startswith("::error file=leakage.toml,line=6,")
    assert "issue 13" in unsure
    assert outputs()["outcome"] == "fail"


def test_a_model_without_an_entry_has_an_annotation_without_a_place(
    measure: Run, llama: Path, outputs: Callable[[], dict[str, str]]
) -> None:
    """Nothing is guessed."""
    result = measure(f"--leakage-model={llama}", "--leakage-significance=require")
    (line,) = annotated(result)
    assert line.startswith("::error title=Expression leakage%3A llama on hexl%3A fail::")


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_what_was_not_measured_is_said(
    workers: tuple[str, ...],
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    outputs: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broken model is an error; one that lacks CUDA is a warning, beside a measured one."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    entries(
        toy, llama,
        good="max_rate = 1.0",
        broken='max_rate = 1.0\nendpoint = "http://127.0.0.1:9/v1"',
    )  # fmt: skip
    with (toy.path / "leakage.toml").open("a") as file:
        file.write(f'[models.big]\npath = "{llama}"\nmax_rate = 1.0\n')
    broken, big = annotated(measure("--leakage-endpoint-timeout=1", *workers))
    assert broken.startswith("::error file=leakage.toml,line=5,")
    assert "broken%3A not measured::" in broken
    assert big.startswith("::warning file=leakage.toml,line=10,")
    assert "there is none here" in big
    found = outputs()
    assert found["outcome"] == "not measured"
    assert json.loads(found["failed"]) == ["broken"]
    summary = (toy.path / "summary.md").read_text()
    assert "**Expression leakage was not measured:** broken" in summary
    assert "**Expression leakage was not measured:** big" in summary


def test_nothing_measured_is_an_error(
    measure: Run, llama: Path, outputs: Callable[[], dict[str, str]]
) -> None:
    """Without a place, and an outcome of its own."""
    result = measure(f"--leakage-model={llama}", "--leakage-max-rate=1", "-k", "no_such_test")
    assert result.ret == NOT_MEASURED
    (line,) = annotated(result)
    assert line.startswith("::error title=Expression leakage%3A not measured::leakage was asked")
    assert "%0A" in line
    found = outputs()
    assert (found["outcome"], found["failed"], found["report"]) == ("not measured", "[]", "")


def test_unusable_is_an_error(
    measure: Run, toy: pytest.Pytester, llama: Path, outputs: Callable[[], dict[str, str]]
) -> None:
    """It is no verdict."""
    toy.makeconftest(UNUSABLE)
    (line,) = annotated(measure(f"--leakage-model={llama}", "--leakage-max-rate=1"))
    assert "unusable::" in line
    assert outputs()["outcome"] == "unusable"


def test_annotations_can_go_to_a_file(
    measure: Run,
    toy: pytest.Pytester,
    llama: Path,
    outputs: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in the action, which lets the runner see them later; a full disk changes no verdict."""
    arguments = (f"--leakage-model={llama}", "--leakage-max-rate=0.5")
    monkeypatch.setenv("EXLEAK_ANNOTATIONS", str(toy.path / "annotations"))
    assert annotated(measure(*arguments)) == []
    assert (toy.path / "annotations").read_text().startswith("::warning title=")
    monkeypatch.setenv("EXLEAK_ANNOTATIONS", "/dev/full")
    monkeypatch.setenv("GITHUB_OUTPUT", os.fspath(toy.path))
    result = measure(*arguments)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*/dev/full (EXLEAK_ANNOTATIONS) cannot be written*"])
    result.stdout.fnmatch_lines(["*(GITHUB_OUTPUT) cannot be written*"])


def test_outside_of_github_nothing_is_annotated(
    measure: Run, llama: Path, outputs: Callable[[], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """And a session without leakage says nothing there either."""
    monkeypatch.delenv("GITHUB_ACTIONS")
    assert annotated(measure(f"--leakage-model={llama}", "--leakage-max-rate=0.5")) == []


def test_a_session_without_leakage_has_no_outputs(
    toy: pytest.Pytester, outputs: Callable[[], dict[str, str]]
) -> None:
    """Whoever only has the plugin installed."""
    toy.makepyfile(test_other="def test_other(): pass")
    assert annotated(toy.runpytest_inprocess("test_other.py")) == []
    assert outputs() == {}


def test_names_cannot_leave_their_annotation(tmp_path: Path) -> None:
    """Signs of workflow commands are escaped, in properties those that end them, too."""
    name = "a,line=9::b%0A\n::error::x\r"
    (line,) = commands([Standing(name, "d:e", "fail", f"50%\n::warning::{name}", True)], tmp_path)
    assert line.count("\n") == line.count("\r") == 0
    head, _, message = line.removeprefix("::error ").partition("::")
    assert head.startswith("title=Expression leakage%3A a%2Cline=9%3A%3Ab%250A")
    assert "," not in head
    assert message.startswith("50%25%0A::warning::a,line=9::b%250A%0A")


def test_an_output_cannot_set_another_one(
    measure: Run, llama: Path, outputs: Callable[[], dict[str, str]], toy: pytest.Pytester
) -> None:
    """The delimiters are new each time, so that no name can hold them."""
    evil = toy.path / "a\noutcome=pass\nexleak-"
    evil.symlink_to(llama)
    measure(f"--leakage-model={evil}", "--leakage-significance=require")
    text = (toy.path / "outputs").read_text()
    found = outputs()
    assert found["outcome"] == "fail"
    assert found["worst-model"] == evil.name
    assert text.count("<<exleak-") == len(set(found)) == 6


def test_the_tenth_annotation_names_the_rest(tmp_path: Path) -> None:
    """GitHub shows ten of a kind, and drops others without a word."""
    found = [Standing(f"m{number}", "hexl", "fail", "why", True) for number in range(12)]
    found += [Standing("w", "hexl", "inconclusive", "why", False)]
    lines = commands(found, tmp_path)
    assert [line.startswith("::error") for line in lines] == [True] * 10 + [False]
    assert "3 more models::m9 on hexl: fail, m10 on hexl: fail, m11 on hexl: fail" in lines[9]
    assert len(commands(found[:10], tmp_path)) == 10
    assert "more models" not in "".join(commands(found[:10], tmp_path))


def test_the_worst_outcome_is_in_the_order_of_the_exit_statuses() -> None:
    """Nothing measured is no pass."""
    words = ["reported only", "pass", "inconclusive", "not measured", "unusable", "fail"]
    found = [Standing("m", "hexl", word, "", False) for word in words]
    assert [worst(found[: number + 1]) for number in range(6)] == words
    assert worst([]) == "not measured"
