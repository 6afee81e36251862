"""Who has the plugin installed and does not use it pays nothing for each of their tests."""

from __future__ import annotations

import sys
from collections import Counter

import pytest

import leakage_fixtures


def calls(toy: pytest.Pytester, tests: int, *arguments: str) -> Counter[str]:
    """How often a session of so many tests calls each function of the plugin, in its controller."""
    toy.makepyfile(
        test_own=f"""
        import pytest

        @pytest.mark.parametrize("number", range({tests}))
        def test_own(number):
            pass
        """
    )
    asked: Counter[str] = Counter()
    package = leakage_fixtures.__path__[0]

    def count(frame: object, event: str, argument: object) -> None:
        code = frame.f_code  # type: ignore[attr-defined]
        if event == "call" and code.co_filename.startswith(package):
            asked[code.co_qualname] += 1

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        result = toy.runpytest_inprocess("-p", "no:cacheprovider", *arguments)
    finally:
        sys.setprofile(before)
    result.assert_outcomes(passed=tests)
    assert "leakage" not in result.stdout.str().replace(str(toy.path), "")
    return asked


#: Hooks that pytest calls for each test; each returns at once.
HOOKS = {
    "pytest_generate_tests", "pytest_runtest_setup", "pytest_runtest_makereport",
    "Results.pytest_runtest_logreport", "Guard.see", "skip_broken", "spec_of", "parametrise",
    "session_of", "Guard.select.<locals>.<genexpr>",
}  # fmt: skip


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=("one process", "two workers"))
def test_nothing_is_asked_for_each_test(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """But for pytest's own hooks, forty tests call what four tests call."""
    few, many = calls(pytester, 4, *workers), calls(pytester, 40, *workers)
    grown = {name for name in many if many[name] > few[name]}
    assert {name.rpartition("<locals>.")[2] for name in grown} <= {
        name.rpartition("<locals>.")[2] for name in HOOKS
    }
    assert not [name for name in many if "resolve" in name or "read_toml" in name]
