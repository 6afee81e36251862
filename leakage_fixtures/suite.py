"""The tests that every repository runs, on whichever models it names.

# tests/test_leakage.py
from leakage_fixtures.suite import TestLeakage
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from _pytest.outcomes import Failed

if TYPE_CHECKING:
    from exleak.gate import Limits
    from exleak.records import Measurement
    from leakage_fixtures.settings import Settings


class LeakageFailed(Failed):
    """A verdict of fail or unusable: told apart from errors, which never count as expected."""


def _fail(measurement: Measurement, reason: str) -> NoReturn:
    from exleak.reports.text import failure

    raise LeakageFailed(failure(measurement, reason), pytrace=False)


@pytest.mark.leakage
class TestLeakage:
    """Expression leakage of one model on one dataset."""

    def test_generations_are_usable(self, leakage_measurement: Measurement) -> None:
        """At least 95% of the continuations have a first sentence that can be scored."""
        verdict = leakage_measurement.verdict
        if verdict.outcome == "unusable":
            _fail(leakage_measurement, verdict.reasons[0])

    @pytest.mark.leakage_judges
    def test_rate_is_within_limit(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The leakage rate is not above the limit, as far as the samples can tell."""
        from exleak.gate import judge_limit

        limits, strict = _limits(request)
        if limits.max_rate is None:
            pytest.skip("no limit set: --leakage-max-rate X")
        from exleak.gate import chosen

        outcome, reason = judge_limit(chosen(leakage_measurement.expression, limits.metric), limits)
        if outcome in ("fail", "unusable") or (strict and outcome == "inconclusive"):
            _fail(leakage_measurement, reason)

    @pytest.mark.leakage_judges
    @pytest.mark.leakage_significance
    def test_significance_is_as_wanted(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """W_EL, adjusted across the models of the run, is significant only where it may be."""
        from exleak.gate import judge_significance

        limits, _ = _limits(request)
        if limits.significance not in ("forbid", "require"):
            pytest.skip("significance is only reported: --leakage-significance forbid|require")
        outcome, reason = judge_significance(
            leakage_measurement.expression.p_value,
            limits,
            leakage_measurement.verdict.adjusted_p_value,
        )
        if outcome == "fail":
            _fail(leakage_measurement, reason)

    @pytest.mark.leakage_judges
    def test_leaks_no_more_than_baseline(
        self, leakage_measurement: Measurement, request: pytest.FixtureRequest
    ) -> None:
        """The directional rate has not risen since the baseline, as far as the runs can tell."""
        from exleak.gate import judge_comparison
        from leakage_fixtures import judging

        limits, strict = _limits(request)
        if limits.margin is None:
            pytest.skip("no baseline to compare with: --leakage-compare NAME")
        comparison = judging.comparison(request.config, leakage_measurement, _settings(request))
        outcome, reason = judge_comparison(comparison, limits)
        if outcome in ("fail", "unusable") or (strict and outcome == "inconclusive"):
            _fail(leakage_measurement, reason)

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


def _limits(request: pytest.FixtureRequest) -> tuple[Limits, bool]:
    resolved = _settings(request)
    return resolved.limits, resolved.strict
