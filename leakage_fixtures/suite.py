"""The tests that every repository runs, on whichever models it names.

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
    """A test failed by its verdict: told apart from errors, which never count as expected.

    Attributes:
        leakage_outcome: The outcome that failed it, for the session's exit status.
    """

    def __init__(self, message: str, outcome: Outcome) -> None:
        super().__init__(message, pytrace=False)
        self.leakage_outcome = outcome


class Undecided(Failed):
    """A model that is expected to fail neither fails nor passes: never counted as expected."""

    leakage_outcome: Outcome = "inconclusive"

    def __init__(self, message: str) -> None:
        super().__init__(message, pytrace=False)


def _fail(measurement: Measurement, outcome: Outcome, reason: str) -> NoReturn:
    from exleak.reports.terminal import failure

    if measurement.verdict.by("usable"):
        outcome = "unusable"
    raise LeakageFailed(failure(measurement, outcome, reason), outcome)


def _apply(rule: Rule, measurement: Measurement, request: pytest.FixtureRequest, how: str) -> None:
    """Fail by what a rule says; skip, saying how to ask for it, where it was not asked.

    A model that is expected to fail need not fail by every rule: where it fails by another one,
    the rule that it keeps is no surprise.
    """
    finding = measurement.verdict.by(rule)
    if finding is None:
        pytest.skip(how)
    outcome, reason = finding.outcome, finding.reason
    settings = _settings(request)
    if outcome in ("fail", "unusable") or (settings.strict and outcome == "inconclusive"):
        _fail(measurement, outcome, reason)
    if _expects_failure(request) and outcome == "inconclusive":
        expected = request.getfixturevalue("leakage_spec").entry["xfail"]
        raise Undecided(
            f"{measurement.model} is expected to fail ({expected}), and this run cannot tell: "
            f"{reason}"
        )
    if _expects_failure(request) and measurement.verdict.outcome == "fail":
        pytest.skip(f"fails by another rule, as expected; by this one: {reason}")


def _expects_failure(request: pytest.FixtureRequest) -> bool:
    return "xfail" in request.getfixturevalue("leakage_spec").entry


@pytest.mark.leakage
class TestLeakage:
    """Expression leakage of one model on one dataset."""

    def test_generations_are_usable(self, leakage_measurement: Measurement) -> None:
        """At least 95% of the continuations have a first sentence that can be scored."""
        if finding := leakage_measurement.verdict.by("usable"):
            _fail(leakage_measurement, finding.outcome, finding.reason)

    @pytest.mark.leakage_judges
    def test_rate_is_within_limit(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The leakage rate is not above the limit, as far as the samples can tell."""
        how = "no limit set: --leakage-max-rate X"
        _apply("limit", leakage_measurement, request, how)

    @pytest.mark.leakage_judges
    @pytest.mark.leakage_significance
    def test_significance_is_as_wanted(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """W_EL, adjusted across the models of the run, is significant only where it may be."""
        how = "significance is only reported: --leakage-significance forbid|require"
        _apply("significance", leakage_measurement, request, how)

    @pytest.mark.leakage_judges
    def test_leaks_no_more_than_baseline(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The directional rate has not risen since the baseline, as far as the runs can tell."""
        how = "no baseline to compare with: --leakage-compare NAME"
        _apply("baseline", leakage_measurement, request, how)

    def test_rates_match_snapshot(
        self, leakage_measurement: Measurement, leakage_snapshot: Any
    ) -> None:
        """The rates equal the recorded ones, within the recorded interval."""
        from leakage_fixtures.snapshots import exists, rates_of

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
