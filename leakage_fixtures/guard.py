"""The guard against vacuous success: a session that requested leakage must measure it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import settings

if TYPE_CHECKING:
    from collections.abc import Iterable

# pytest uses exit statuses below 10.
#: Exit status if nothing was measured, or the measurement is unusable.
NOT_MEASURED = 10
#: Exit status if, under ``--leakage-strict``, the only failures are inconclusive measurements.
INCONCLUSIVE = 11

_QUIET = (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED)


class Guard:
    """Tracks the tests of a session and sets its exit status; under xdist, in the controller."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.selected: set[str] = set()
        self.leakage: set[str] = set()
        self.finished: set[str] = set()
        self.failures: set[str] = set()
        self.skipped: dict[str, str] = {}
        self.broken: dict[str, str] = {}
        self.problem: str | None = None

    def select(self, ids: Iterable[str], leakage: Iterable[str]) -> None:
        """Record the selected tests, and those among them that measure leakage."""
        self.selected |= set(ids)
        self.leakage |= set(leakage)

    def see(self, report: Any) -> None:
        """Record from a test report whether a test finished, failed or was skipped."""
        if report.when == "teardown":
            self.finished.add(report.nodeid)
        if report.failed:
            outcome = getattr(report, "leakage_failed", None)
            self.failures.add(outcome if outcome in ("unusable", "inconclusive") else "other")
        if broken := getattr(report, "leakage_broken", None):
            self.broken.setdefault(*broken)
        if name := getattr(report, "leakage_skipped", None):
            reason = report.longrepr[2] if report.longrepr else ""
            self.skipped[name] = reason.removeprefix("Skipped: ")

    def close(self, session: pytest.Session, *, measured: bool) -> None:
        """Set the exit status; a session that requested leakage but has no verdict fails."""
        if self.config.option.collectonly or getattr(self.config.option, "setuponly", False):
            return  # --setup-plan sets setuponly too; no test is called
        if session.exitstatus == pytest.ExitCode.TESTS_FAILED:
            if self.failures == {"inconclusive"}:
                session.exitstatus = INCONCLUSIVE
            elif self.failures and self.failures <= {"inconclusive", "unusable"}:
                session.exitstatus = NOT_MEASURED
            return
        if session.exitstatus in _QUIET and (problem := self._problem(measured)):
            self.problem = problem
            session.exitstatus = NOT_MEASURED

    def _problem(self, measured: bool) -> str | None:
        vanished = sorted(self.selected - self.finished)
        if vanished:
            shown = "\n".join(f"    {nodeid}" for nodeid in vanished[:5])
            return (
                f"{len(vanished)} of {len(self.selected)} selected tests never finished:\n{shown}"
            )
        if measured:
            return None
        if self.leakage:
            return f"{len(self.leakage)} leakage tests were selected, none gave a verdict (see -rs)"
        if settings.asked(self.config):
            return (
                "leakage was asked for, but no leakage test was selected; a test file needs the "
                "line\n    from leakage_fixtures.suite import TestLeakage"
            )
        return None
