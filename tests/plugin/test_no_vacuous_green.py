"""Exit status and table where a session could end green without a measurement."""

from __future__ import annotations

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from leakage_fixtures.guard import INCONCLUSIVE, NOT_MEASURED
from tests.plugin.conftest import UNUSABLE, Run


@pytest.fixture
def named(llama: Path) -> tuple[str, str]:
    """A model and a limit that it keeps."""
    return f"--leakage-model={llama}", "--leakage-max-rate=1"


@pytest.mark.parametrize(
    "distribution",
    [
        ("-p", "no:xdist"),
        ("-n2",),
        ("-n4",),
        ("-n2", "--dist=loadfile"),
    ],
    ids=lambda value: " ".join(value),
)
def test_any_distribution_measures_the_same(
    distribution: tuple[str, ...], measure: Run, toy: pytest.Pytester, llama: Path
) -> None:
    """One table with a line for each model, status 1 because one of them fails."""
    (toy.path / "leakage.toml").write_text(
        f'[models.a]\npath = "{llama}"\nmax_rate = 1.0\ndevice = "cpu"\n'
        f'[models.b]\npath = "{llama}"\nsignificance = "require"\ndevice = "cpu"'
    )
    result = measure(*distribution)
    assert result.ret == 1
    outcomes = [line.split()[-1] for line in result.outlines if line.startswith(("a  ", "b  "))]
    assert outcomes == ["pass", "fail"]


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
@pytest.mark.parametrize(
    "selection",
    [("-k", "no_such_test"), ("-m", "not leakage"), ("--deselect", "test_leakage.py")],
    ids=lambda value: " ".join(value),
)
def test_nothing_selected_is_not_green(
    selection: tuple[str, ...], workers: tuple[str, ...], measure: Run, named: tuple[str, str],
    toy: pytest.Pytester,
) -> None:  # fmt: skip
    """Leakage was asked for; other tests that pass do not make up for it."""
    toy.makepyfile(test_other="def test_other(): pass")
    result = measure(*named, *selection, *workers)
    assert result.ret == NOT_MEASURED
    result.stdout.fnmatch_lines(["*leakage was asked for, but no leakage test was selected*"])


@pytest.mark.parametrize("workers", [(), ("-n2",)], ids=["one process", "two workers"])
def test_a_gpu_test_without_a_gpu_is_said(
    workers: tuple[str, ...], measure: Run, toy: pytest.Pytester, named: tuple[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Alone it is not green; beside a measured model it is named below the table."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    path = named[0].partition("=")[2]
    (toy.path / "leakage.toml").write_text(
        f'[models.big]\npath = "{path}"\nmax_rate = 1.0\n'
        f'[models.small]\npath = "{path}"\nmax_rate = 1.0\ndevice = "cpu"'
    )
    alone = measure("-m", "gpu", *workers)
    assert alone.ret == NOT_MEASURED
    alone.stdout.fnmatch_lines(["NOT MEASURED, no CUDA here: big", "*none gave a verdict*"])
    both = measure(*workers)
    assert both.ret == 0
    both.stdout.fnmatch_lines(["NOT MEASURED, no CUDA here: big"])


def test_a_gpu_test_that_skips_itself_is_not_said_to_lack_a_gpu(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """As on a machine with CUDA, where rules that nobody asked for are skipped."""
    toy.makepyfile(
        test_own="""
        import pytest

        @pytest.mark.gpu
        def test_own(leakage_model):
            pytest.skip("not today")
        """
    )
    result = measure(*named, "--leakage-device=cpu")
    assert result.ret == 0
    result.stdout.no_fnmatch_line("*NOT MEASURED*")


def test_maxfail_and_last_failed_keep_their_status(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """Stopped early is red; the failed test alone, run again, is red or green as it is."""
    failing = (named[0], "--leakage-significance=require")
    for workers in ((), ("-n2",)):
        # xdist calls a session that it stopped interrupted (2), pytest failed (1).
        assert measure(*failing, "--maxfail=1", *workers).ret in (1, 2)
    short = ("--leakage-limit=3", "--leakage-generations=2")
    assert toy.runpytest_inprocess(*failing, *short).ret == 1
    again = toy.runpytest_inprocess(*failing, *short, "--lf")
    assert again.ret == 1
    again.assert_outcomes(failed=1)


def test_an_interrupted_session_stays_interrupted(toy: pytest.Pytester) -> None:
    """Tests that never finished are then no news: pytest's own status says why."""
    toy.makeconftest("def pytest_runtest_setup(item): raise KeyboardInterrupt")
    result = toy.runpytest_subprocess("--leakage-model=reference-clean", "--leakage-max-rate=1")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.no_fnmatch_line("*not measured*")


def test_a_worker_killed_in_mid_run_is_red_and_the_rest_is_measured(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """The test that it was running is reported as crashed, once; another worker does the others."""
    toy.makepyfile(
        test_killed="""
        import os, signal
        def test_killed(leakage_generations, worker_id):
            os.kill(os.getpid(), signal.SIGKILL)
        """
    )
    result = measure(*named, "-n2")
    assert result.ret == 1
    assert any(line.endswith("  pass") for line in result.outlines)
    result.stdout.fnmatch_lines(["*crashed while running*test_killed*"])
    result.assert_outcomes(passed=2, failed=1)


def test_a_test_that_vanishes_is_not_green(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """A report that never arrives ends in xdist as if the test had not been there."""
    toy.makeconftest(
        """
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_runtest_protocol(item, nextitem):
            if "within_limit" in item.name:
                return True
        """
    )
    for workers in ((), ("-n2",)):
        result = measure(*named, *workers)
        assert result.ret == NOT_MEASURED
        result.stdout.fnmatch_lines(["1 of 2 selected tests never finished:", "*within_limit*"])


def test_a_numpy_property_with_a_failing_assert_is_red(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """pytest-xdist cannot send it, loses the test and would end with status 0."""
    toy.makepyfile(
        test_own="""
        import numpy
        def test_own(leakage_measurement, record_property):
            record_property("rate", numpy.float64(0.7))
            assert False
        """
    )
    assert measure(*named, "-n2").ret != 0


def test_each_way_to_end_has_its_status(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """Pass 0, leakage failed 1, usage 4, unusable 10, inconclusive 11 (0 if not strict)."""
    assert measure(*named).ret == 0
    assert measure(named[0], "--leakage-significance=require").ret == 1
    assert measure(named[0]).ret == 4
    unsure = (named[0], "--leakage-max-rate=0.5")
    assert measure(*unsure).ret == 0
    assert measure(*unsure, "--leakage-strict").ret == INCONCLUSIVE
    toy.makeconftest(UNUSABLE)
    assert measure(*named).ret == NOT_MEASURED


def test_a_test_of_ones_own_is_no_verdict(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """Its failure is status 1, however inconclusive the limit is."""
    toy.makepyfile(
        test_own="def test_own(leakage_measurement): assert leakage_measurement.model == ''"
    )
    result = measure(named[0], "--leakage-max-rate=0.5", "--leakage-report=out.json")
    result.assert_outcomes(passed=2, failed=1)
    assert result.ret == 1
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["verdict"]["outcome"] == "inconclusive"


def test_the_worst_of_several_verdicts_is_shown(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """Classes with limits of their own judge one measurement differently."""
    toy.makepyfile(
        test_leakage="""
        import pytest
        from leakage_fixtures.suite import TestLeakage as Base
        @pytest.mark.leakage(significance="require")
        class TestStrict(Base): pass
        @pytest.mark.leakage(max_rate=1.0)
        class TestLoose(Base): pass
        """
    )
    result = measure(named[0], "--leakage-report=out.json")
    assert result.ret == 1
    (found,) = json.loads((toy.path / "out.json").read_text())["measurements"]
    assert found["verdict"]["outcome"] == "fail"


def test_junit_holds_what_a_dashboard_plots(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str]
) -> None:
    """Rate, interval, p-value, limit and outcome of each model, under xdist too."""
    for workers in ((), ("-n2",)):
        measure(*named, "--junitxml=out.xml", *workers)
        properties = [
            {p.get("name"): p.get("value") for p in case.iter("property")}
            for case in ET.parse(toy.path / "out.xml").iter("testcase")
            if "within_limit" in str(case.get("name"))
        ]
        (found,) = properties
        assert found["leakage_outcome"] == "pass"
        assert found["leakage_limit"] == "1.0"
        assert 0 <= float(found["leakage_rate_low"] or "") <= float(found["leakage_rate"] or "")
        assert float(found["leakage_rate"] or "") <= float(found["leakage_rate_high"] or "") <= 1
        assert found["leakage_dataset"] == "hexl"
        assert 0 <= float(found["leakage_carry_over"] or "") <= 1


def test_the_github_summary_is_written_also_when_the_job_fails(
    measure: Run, toy: pytest.Pytester, named: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Appended to what other steps wrote; nothing without leakage."""
    summary = toy.path / "summary.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", os.fspath(summary))
    measure(named[0], "--leakage-significance=require")
    text = summary.read_text()
    assert text.startswith("before\n")
    assert "Expression leakage" in text
    assert "❌" in text
    measure(*named, "-k", "no_such_test")
    assert "was not measured" in summary.read_text()
    before = summary.read_text()
    toy.makepyfile(test_other="def test_other(): pass")
    toy.runpytest_inprocess("test_other.py")
    assert summary.read_text() == before
