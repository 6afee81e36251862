"""The leakage test suite, for import into a test file of any repository.

# tests/test_leakage.py
from leakage_fixtures.suite import TestLeakage
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from _pytest.outcomes import Failed

    from exleak.records import Measurement, Outcome, Rule
    from leakage_fixtures.options import Settings
else:
    Failed = pytest.fail.Exception


class LeakageFailed(Failed):
    """Failure of a test by its verdict; unlike an error, it may be an expected failure.

    Attributes:
        leakage_outcome: The outcome that failed the test, for the session's exit status.
    """

    __module__ = "builtins"  # as pytest's own: the summary shows the message in its place

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message, pytrace=False)
        self.leakage_outcome = outcome


class Undecided(Failed):
    """Failure because a model with ``xfail`` is inconclusive; never an expected failure."""

    __module__ = "builtins"
    leakage_outcome: Outcome = "inconclusive"

    def __init__(self, message: str) -> None:
        super().__init__(message, pytrace=False)


def _fail(measurement: Measurement, outcome: Outcome, reason: str) -> NoReturn:
    from exleak.reports.terminal import failure

    if measurement.verdict.by("usable"):
        outcome = "unusable"
    raise LeakageFailed(failure(measurement, outcome, reason), outcome)


def _apply(rule: Rule, measurement: Measurement, request: pytest.FixtureRequest, how: str) -> None:
    """Fail or pass the test by one rule of the verdict; skip it if the rule is not set.

    A model with ``xfail`` need not fail every rule: if it fails another one, the test of a rule
    that it passes is skipped.

    Args:
        rule: The rule.
        measurement: The judged measurement.
        request: The test's request.
        how: Skip reason that says how to set the rule.
    """
    finding = measurement.verdict.by(rule)
    if finding is None:
        pytest.skip(how)
    outcome, reason = finding.outcome, finding.reason
    settings = _settings(request)
    if _expects_failure(request) and outcome == "inconclusive":
        expected = request.getfixturevalue("leakage_spec").entry["xfail"]
        raise Undecided(
            f"{measurement.model} is expected to fail ({expected}), and this run cannot tell: "
            f"{reason}"
        )
    if outcome in ("fail", "unusable") or (settings.strict and outcome == "inconclusive"):
        _fail(measurement, outcome, reason)
    if _expects_failure(request) and measurement.verdict.outcome == "fail":
        pytest.skip(f"fails by another rule, as expected; by this one: {reason}")


def _expects_failure(request: pytest.FixtureRequest) -> bool:
    return "xfail" in request.getfixturevalue("leakage_spec").entry


@pytest.mark.leakage
class TestLeakage:
    """Expression leakage of one model on one dataset."""

    def test_generations_are_usable(self, leakage_measurement: Measurement) -> None:
        """The continuations are usable: at least 95% can be scored, and no other check fails."""
        if finding := leakage_measurement.verdict.by("usable"):
            _fail(leakage_measurement, finding.outcome, finding.reason)

    @pytest.mark.leakage_judges("limit")
    def test_rate_is_within_limit(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The leakage rate is not significantly above the limit."""
        how = "no limit set: --leakage-max-rate X"
        _apply("limit", leakage_measurement, request, how)

    @pytest.mark.leakage_judges("significance")
    def test_significance_is_as_wanted(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """W_EL, adjusted across the models of the run, satisfies the significance rule."""
        how = "significance is only reported: --leakage-significance forbid|require"
        _apply("significance", leakage_measurement, request, how)

    @pytest.mark.leakage_judges("baseline")
    def test_leaks_no_more_than_baseline(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The directional (or residual) rate has not risen significantly above the baseline.

        With ``--leakage-compare-pass`` it is shown that it has not risen by that much.
        """
        how = "no baseline to compare with: --leakage-compare NAME"
        _apply("baseline", leakage_measurement, request, how)
        if leakage_measurement.verdict.by("non-inferiority"):
            _apply("non-inferiority", leakage_measurement, request, how)

    @pytest.mark.leakage_snapshots
    def test_rates_match_snapshot(
        self, leakage_measurement: Measurement, leakage_snapshot: Any
    ) -> None:
        """The rates lie within the intervals recorded in the snapshot."""
        from leakage_fixtures.snapshots import exists, rates_of

        interim = leakage_measurement.interim
        if interim is not None and not interim.is_whole:
            pytest.skip(f"rates of {interim.used} samples are not those of the dataset")
        name = f"{leakage_measurement.model}-{leakage_measurement.dataset}"
        snapshot = leakage_snapshot(name=re.sub(r"[^\w.-]+", "-", name).strip("-"))
        if not exists(snapshot):
            pytest.skip("no snapshot of this model yet: record one with --snapshot-update")
        assert snapshot == rates_of(leakage_measurement)


def _settings(request: pytest.FixtureRequest) -> Settings:
    from leakage_fixtures import settings

    spec = request.getfixturevalue("leakage_spec")
    marker = settings.marker_settings(request.node)
    return settings.resolve(request.config, spec, marker)
