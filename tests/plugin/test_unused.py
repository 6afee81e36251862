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


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=("one process", "two workers"))
def test_nothing_is_asked_for_each_test(
    pytester: pytest.Pytester, workers: tuple[str, ...]
) -> None:
    """Forty tests call what four tests call."""
    few, many = calls(pytester, 4, *workers), calls(pytester, 40, *workers)
    assert few, "the plugin was there"
    assert many == few
    assert not [name for name in many if "resolve" in name or "read_toml" in name]
