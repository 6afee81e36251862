"""Baselines in a toy repository: saved, compared with, refused; and checkpoints in a row."""

from __future__ import annotations

import importlib
import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import exleak
from exleak import reference
from leakage_fixtures.guard import INCONCLUSIVE, NOT_MEASURED
from tests.plugin.conftest import UNUSABLE, Run

CLEAN, LEAKY = reference.path("reference-clean"), reference.path("reference-leaky")
BASELINE = "main-limit3"


def lines(result: pytest.RunResult) -> str:
    """What was printed."""
    return str(result.stdout)


def test_a_first_run_is_saved_and_said(measure: Run, toy: pytest.Pytester) -> None:
    """Inconclusive, not red; with the sentence to commit it; red with --leakage-strict."""
    arguments = (f"--leakage-model={CLEAN}", f"--leakage-compare={BASELINE}")
    strict = measure(*arguments, "--leakage-strict")
    assert strict.ret == INCONCLUSIVE
    (toy.path / "leakage_baselines" / BASELINE / "0001.json").unlink()
    result = measure(*arguments)
    assert result.ret == 0
    result.stdout.fnmatch_lines(
        ["*inconclusive", "baseline saved: *0001.json (commit it*", "INCONCLUSIVE*no baseline*"]
    )
    assert "on the branch that others shall be compared with" in lines(result)
    # The first session was a last run; a baseline that is asked for takes its place.
    result.stdout.no_fnmatch_line("*Δ last run*")
    saved = json.loads((toy.path / "leakage_baselines" / BASELINE / "0001.json").read_text())
    assert saved["saved"]["number"] == 1
    assert saved["measurements"][0]["by_control"]


def test_the_same_checkpoint_is_no_worse_than_itself(measure: Run) -> None:
    """Saved under the next number on demand, and compared with all runs of the name."""
    model = (f"--leakage-model={CLEAN}", "--leakage-limit=7")
    save = ("--leakage-report-only", "--leakage-save=main-limit7")
    measure(*model, *save)
    second = measure(*model, *save, "--leakage-seed=1")
    second.stdout.fnmatch_lines(["baseline saved: *0002.json*"])
    result = measure(*model, "--leakage-compare=main-limit7", "--leakage-report=out.json")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*pass"])


def test_a_few_controls_are_no_comparison(measure: Run) -> None:
    """Three could never fail: that is inconclusive, and red with --leakage-strict."""
    model = f"--leakage-model={CLEAN}"
    measure(model, "--leakage-report-only", f"--leakage-save={BASELINE}")
    result = measure(model, f"--leakage-compare={BASELINE}", "--leakage-strict")
    assert result.ret == INCONCLUSIVE
    result.stdout.fnmatch_lines(["*3 controls are too few to compare with*"])


def test_a_baseline_that_does_not_fit_fails_its_own_test_alone(measure: Run) -> None:
    """What was measured is usable: only the comparison is not."""
    model = f"--leakage-model={CLEAN}"
    measure(model, "--leakage-report-only", f"--leakage-save={BASELINE}")
    result = measure(
        model, "--leakage-max-rate=1", f"--leakage-compare={BASELINE}", "--leakage-generations=3"
    )
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["*FAILED*test_leaks_no_more_than_baseline*"])


def test_a_checkpoint_that_leaks_more_fails(toy: pytest.Pytester) -> None:
    """Clean is the baseline; leaky, under another name, is held against its only model."""
    common = ("-p", "no:cacheprovider", "--leakage-limit=20", "--leakage-generations=4")
    toy.runpytest_inprocess(
        *common, f"--leakage-model={CLEAN}", "--leakage-report-only", "--leakage-save=c-limit20"
    )
    arguments = (*common, f"--leakage-model={LEAKY}", "--leakage-compare=c-limit20")
    result = toy.runpytest_inprocess(*arguments, "--leakage-report=out.json")
    assert result.ret == 1
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["*leaks more than the baseline*"])
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["verdict"]["comparison"]["p_value"] <= 0.01
    tolerant = toy.runpytest_inprocess(*arguments, "--leakage-compare-fail=0.9")
    assert tolerant.ret == 0


def test_a_release_is_shown_no_worse(measure: Run, toy: pytest.Pytester) -> None:
    """A copy passes where the margin could have been seen, and is inconclusive where not."""
    common = (f"--leakage-model={CLEAN}", "--leakage-limit=20", "--leakage-generations=4")
    measure(*common, "--leakage-report-only", "--leakage-save=c-limit20")
    arguments = (*common, "--leakage-compare=c-limit20", "--leakage-seed=2", "--leakage-strict")
    wide = measure(*arguments, "--leakage-compare-pass=0.3", "--leakage-report=out.json")
    assert wide.ret == 0
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert [finding["rule"] for finding in found["verdict"]["findings"]] == [
        "baseline", "non-inferiority",
    ]  # fmt: skip
    narrow = measure(*arguments, "--leakage-compare-pass=0.001")
    assert narrow.ret == INCONCLUSIVE
    narrow.stdout.fnmatch_lines(["*upper bound*not shown to stay below the margin 0.001*"])


def test_a_run_that_is_not_comparable_is_refused(measure: Run) -> None:
    """With the reason, and its own exit status: nothing was judged."""
    model = f"--leakage-model={CLEAN}"
    measure(model, "--leakage-report-only", f"--leakage-save={BASELINE}")
    result = measure(model, f"--leakage-compare={BASELINE}", "--leakage-mitigation=Stay calm.")
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["*not comparable with main-limit3: the sampling differs*"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--leakage-save=main"], "*name it main-limit3*"),
        (["--leakage-compare=main"], "*name it main-limit3*"),
        (["--leakage-save=../x-limit3"], "*use letters, digits*"),
        (["--leakage-compare-fail=0.1"], "*needs --leakage-compare*"),
        (["--leakage-compare-pass=0.1"], "*-pass needs --leakage-compare*"),
        (["--leakage-compare=main-limit3", "--leakage-compare-fail=2"], "*margin must be*"),
    ],
)
def test_bad_baseline_settings_are_usage_errors(
    arguments: list[str], message: str, measure: Run
) -> None:
    """A part of a dataset is never saved or compared as the whole, unless it is named so."""
    result = measure(f"--leakage-model={CLEAN}", "--leakage-max-rate=1", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([message])


def test_a_report_that_is_none_is_one_error(measure: Run, toy: pytest.Pytester) -> None:
    """The file is named."""
    (toy.path / "old.json").write_text("{}")
    result = measure(f"--leakage-model={CLEAN}", "--leakage-compare=old.json")
    assert result.ret == 1
    result.stdout.fnmatch_lines(["*old.json: not an exleak report*"])


def test_an_unusable_run_is_not_saved(measure: Run, toy: pytest.Pytester) -> None:
    """A broken checkpoint must not become what others are held against."""
    toy.makeconftest(UNUSABLE)
    result = measure(
        f"--leakage-model={CLEAN}", "--leakage-max-rate=1", f"--leakage-save={BASELINE}"
    )
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines([f"baseline {BASELINE} NOT saved: *unusable"])
    assert not (toy.path / "leakage_baselines").exists()


def test_checkpoints_are_shown_in_order_with_the_first_worse_one(toy: pytest.Pytester) -> None:
    """Steps 1 and 2 are clean, 10 leaks: its line is marked, in terminal and report."""
    for step, source in ((1, CLEAN), (2, CLEAN), (10, LEAKY)):
        place = toy.path / "checkpoints" / f"step-{step}"
        place.parent.mkdir(exist_ok=True)
        place.symlink_to(source)
    result = toy.runpytest_inprocess(
        "-p", "no:cacheprovider", "--leakage-limit=20", "--leakage-generations=4",
        "--leakage-model=checkpoints/step-*", "--leakage-report-only", "--leakage-report=out.json",
    )  # fmt: skip
    result.stdout.fnmatch_lines(
        [
            "directional rate by checkpoint, hexl:",
            "*step-1 *█*",
            "*step-2 *+0.000 *adjusted p 1.000",
            "*step-10 *first worse than the start",
        ]
    )
    found = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert [m["series"]["is_first_worse"] for m in found] == [False, False, True]


def test_significance_is_adjusted_across_the_models_of_a_run(
    measure: Run, toy: pytest.Pytester
) -> None:
    """Both p-values are shown; a model alone is not adjusted; workers and files change nothing."""
    copy = toy.path / "copy"
    copy.symlink_to(LEAKY)
    models = (f"--leakage-model={LEAKY}", f"--leakage-model={copy}")
    common = ("--leakage-significance=forbid", "--leakage-report=out.json")
    file = shutil.copy(
        Path(exleak.__file__).parent / "datasets" / "hexl.jsonl", toy.path / "own.jsonl"
    )
    for more in ((), ("-n2",), (f"--leakage-dataset={file}",)):
        measure(*models, *common, *more)
        found = json.loads((toy.path / "out.json").read_text())["measurements"]
        assert len(found) == 2
        for measurement in found:
            adjusted = measurement["verdict"]["adjusted_p_value"]
            p_value = measurement["expression"]["p_value"]
            assert adjusted == pytest.approx(min(1, 2 * p_value))
            assert "Holm-adjusted" in measurement["verdict"]["reasons"][0]
    measure(models[0], *common)
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["verdict"]["adjusted_p_value"] is None


def test_checkpoints_without_a_number_may_be_folders(measure: Run, tmp_path: Path) -> None:
    """A pattern that matches nothing is a usage error, not an empty series."""
    result = measure(f"--leakage-model={tmp_path}/step-*", "--leakage-max-rate=1")
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_each_question_is_asked_once(
    measure: Run, toy: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One model, five tests, one baseline: settings, gate, baseline and the test on it."""
    asked: Counter[str] = Counter()

    def count(name: str) -> None:
        module, _, function = name.rpartition(".")
        real = getattr(importlib.import_module(module), function)

        def counted(*arguments: Any, **settings: Any) -> Any:
            asked[function] += 1
            return real(*arguments, **settings)

        monkeypatch.setattr(name, counted)

    arguments = (f"--leakage-model={CLEAN}", f"--leakage-compare={BASELINE}")
    assert measure(*arguments).ret == 0
    for name in (
        "exleak.gate.rules.limit_rule",
        "exleak.gate.rules.judge_comparison",
        "exleak.gate.baselines.load",
        "exleak.gate.comparison.compare",
        "leakage_fixtures.settings._resolve",
    ):
        count(name)
    measure(*arguments, "--leakage-max-rate=1").assert_outcomes(passed=3)
    assert asked.pop("_resolve") == 2, "for the session, and for the model"
    assert set(asked.values()) == {1}, asked
