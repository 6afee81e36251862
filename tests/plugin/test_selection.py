"""Sessions that run nothing but leakage tests, and sessions that run none of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from leakage_fixtures.guard import NOT_MEASURED
from tests.plugin.conftest import Run

WORKERS = pytest.mark.parametrize("workers", [(), ("-n2",)], ids=("one process", "two workers"))


@pytest.fixture
def others(toy: pytest.Pytester) -> pytest.Pytester:
    """Beside the suite, a test of something else and one of the repository's own on leakage."""
    toy.makepyfile(
        test_other="def test_other(): pass",
        test_own="def test_own(leakage_measurement): assert leakage_measurement.expression.n",
    )
    return toy


@WORKERS
def test_only_leakage_tests_run(
    workers: tuple[str, ...], measure: Run, others: pytest.Pytester, llama: Path
) -> None:
    """The repository's own among them."""
    result = measure(
        f"--leakage-model={llama}", "--leakage-max-rate=1", "--leakage-only", "-v", *workers
    )
    assert result.ret == 0
    assert "test_own" in result.stdout.str()
    assert "test_other" not in result.stdout.str()


def test_only_without_a_leakage_test_is_no_green(pytester: pytest.Pytester) -> None:
    """It asks for them."""
    pytester.makepyfile(test_other="def test_other(): pass")
    result = pytester.runpytest_inprocess("--leakage-only")
    result.assert_outcomes(deselected=1)
    assert result.ret == NOT_MEASURED


@WORKERS
@pytest.mark.parametrize("way", ["option", "variable"])
def test_disabled_tests_do_not_run(
    way: str,
    workers: tuple[str, ...],
    measure: Run,
    others: pytest.Pytester,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No model is looked for; that is said once, and the session is green by its other tests."""
    if way == "variable":
        monkeypatch.setenv("EXLEAK_DISABLE", "1")
    given = ("--leakage-disable",) if way == "option" else ()
    result = measure("--leakage-model=nowhere", "--leakage-max-rate=0.5", *given, *workers)
    assert result.ret == 0
    result.assert_outcomes(passed=1, deselected=0 if workers else 6)
    by = "--leakage-disable" if way == "option" else "EXLEAK_DISABLE"
    assert result.stdout.str().count("DISABLED") == 1
    result.stdout.fnmatch_lines([f"DISABLED  6 leakage tests were not run, by {by}"])


def test_a_failure_of_other_tests_stays_one(measure: Run, toy: pytest.Pytester) -> None:
    """Whatever is disabled; and where all tests are, pytest's own status says so."""
    toy.makepyfile(test_other="def test_other(): assert False")
    assert measure("--leakage-disable").ret == pytest.ExitCode.TESTS_FAILED
    everything = measure("--leakage-disable", "test_leakage.py")
    assert everything.ret == pytest.ExitCode.NO_TESTS_COLLECTED


def test_a_disabled_leakage_toml_is_not_read(measure: Run, others: pytest.Pytester) -> None:
    """Nor do its models count as not measured."""
    (others.path / "leakage.toml").write_text("[models.a]\npath = 'nowhere'\nmax_rate = 0.5")
    assert measure("--leakage-disable").ret == 0


@pytest.mark.parametrize(
    ("arguments", "variable", "message"),
    [
        (("--leakage-only", "--leakage-disable"), None, "--leakage-only and --leakage-disable"),
        (("--leakage-only",), "EXLEAK_DISABLE", "--leakage-only and EXLEAK_DISABLE"),
        (("--leakage-disable",), "EXLEAK_ONLY", "EXLEAK_ONLY and --leakage-disable"),
    ],
)
def test_both_are_a_usage_error(
    arguments: tuple[str, ...],
    variable: str | None,
    message: str,
    measure: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing would run."""
    if variable:
        monkeypatch.setenv(variable, "1")
    result = measure(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{message} leave no test to run*"])
