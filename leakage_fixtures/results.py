"""The hooks of sessions that may measure leakage, or that leave its tests out.

Imported for such sessions alone, as what it imports is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from exleak.model_names import TOML
from leakage_fixtures import collection, environment, github, rootdir, selection, settings, workers
from leakage_fixtures.guard import Guard
from leakage_fixtures.session import session_of
from leakage_fixtures.standing import standings

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from leakage_fixtures.summary import Summary


class Disabled:
    """Hooks that leave the leakage tests of a session out, and say so."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.left_out = 0

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Deselect them; an xdist worker tells its controller how many."""
        self.left_out = selection.deselect(config, items, leakage=True)
        if hasattr(config, "workeroutput"):
            config.workeroutput["leakage_disabled"] = self.left_out

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """Hear of them from a worker; all workers collect the same."""
        told = getattr(node, "workeroutput", {}).get("leakage_disabled", 0)
        self.left_out = max(self.left_out, told)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Say that they were not run."""
        if self.left_out:
            tests = "test was" if self.left_out == 1 else "tests were"
            by = settings.disabled_by(self.config)
            line = f"DISABLED  {self.left_out} leakage {tests} not run, by {by}"
            terminalreporter.write_line(line, yellow=True)


class Results:
    """Hooks that collect and show measurements, in sessions that may measure leakage."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.guard = Guard(config)
        self.summary: Summary | None = None
        self.is_announced = False
        self.remarks: dict[str, None] = {}
        if not hasattr(config, "workerinput"):
            self.remarks |= dict.fromkeys(environment.unknown())

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Select and check the collected tests, and run adjusted significance tests last."""
        if settings.is_only(config):
            selection.deselect(config, items, leakage=False)
        collection.finish(config, items)

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip the remaining tests of a model after its first measurement error."""
        selection.skip_broken(item)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Attach a test's measurement to its report, which xdist sends to the controller."""
        report = yield
        if report.failed and call.excinfo is not None:
            vars(report)["leakage_failed"] = getattr(call.excinfo.value, "leakage_outcome", None)
            if name := selection.broken_model(item):
                vars(report)["leakage_broken"] = [name, str(call.excinfo.value)]
        if remarks := session_of(item.config).remarks:
            vars(report)["leakage_remarks"] = [*remarks]
            remarks.clear()
        if report.when == "call" and collection.MEASURED in item.stash:
            vars(report)["leakage"] = item.stash[collection.MEASURED]
        without_cuda = report.skipped and selection.is_without_cuda(item)
        if without_cuda and (spec := selection.spec_of(item)):
            vars(report)["leakage_skipped"] = spec.name
        return report

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Record the selected tests; an xdist controller has no items."""
        leakage = [i.nodeid for i in session.items if i.get_closest_marker("leakage")]
        self.guard.select((item.nodeid for item in session.items), leakage)

    def pytest_report_collectionfinish(self, items: list[pytest.Item]) -> str | None:
        """Say what is to be generated, below the number of tests."""
        return self._announcement([i.nodeid for i in items if not i.get_closest_marker("skip")])

    def _announcement(self, ids: list[str]) -> str | None:
        """The line about what is to be generated; ``None`` if it was shown, or is not wanted."""
        if self.is_announced or self.config.option.verbose < 0 or self.config.option.collectonly:
            return None
        from leakage_fixtures import announcement

        self.is_announced = True
        return announcement.line(self.config, ids)

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, node: Any, ids: list[str]) -> None:
        """Record the tests that a worker collected; all workers collect the same."""
        leakage = [i for i in ids if workers.measurement_of(self.config, i)]
        self.guard.select(ids, leakage)
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        if reporter and leakage and (line := self._announcement(leakage)):
            reporter.write_line(f"\n{line}")

    def pytest_runtest_logreport(self, report: Any) -> None:
        """Collect measurements from test reports, with and without xdist."""
        self.guard.see(report)
        self.remarks |= dict.fromkeys(getattr(report, "leakage_remarks", ()))
        if getattr(report, "leakage", None) is not None:
            from leakage_fixtures.summary import Summary

            self.summary = self.summary or Summary()
            self.summary.add(report.leakage)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write reports; fail a session that requested leakage but has no verdict."""
        if hasattr(self.config, "workerinput"):
            return
        self.guard.close(session, measured=self.summary is not None)
        if self.summary is not None:
            from leakage_fixtures import tracking

            self.summary.close(self.config, session.exitstatus)
            self.remarks |= dict.fromkeys(tracking.log(self.config, self.summary))
        found = standings(self.summary, self.guard)
        self.remarks |= dict.fromkeys(github.write(self.summary, found, self._toml))

    @property
    def _toml(self) -> Path:
        return rootdir.root(self.config) / TOML

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """Show the table of results, remarks, and why nothing was measured."""
        if self.summary is not None:
            from leakage_fixtures.summary import show

            show(terminalreporter, self.summary)
        for path, reason in session_of(self.config).left_out.items():
            terminalreporter.write_line(f"NOT MEASURED  {path}: {reason}", yellow=True)
        for remark in self.remarks:
            terminalreporter.write_line(f"REMARK  {remark}", yellow=True)
        if skipped := self.guard.skipped:
            line = f"NOT MEASURED, no CUDA here: {', '.join(skipped)}"
            terminalreporter.write_line(line, yellow=True, bold=True)
        if self.guard.problem is not None:
            terminalreporter.section("expression leakage: not measured", red=True, bold=True)
            terminalreporter.write_line(self.guard.problem)
        if github.prints_annotations():
            for line in github.commands(standings(self.summary, self.guard), self._toml):
                terminalreporter.write_line(line)
