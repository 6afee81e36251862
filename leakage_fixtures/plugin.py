"""The hooks of the pytest plugin; the modules that they call do the work.

Every pytest session with the plugin installed imports this module, so it imports nothing heavy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from leakage_fixtures import (
    collection,
    environment,
    options,
    other_snapshots,
    rootdir,
    settings,
    workers,
)
from leakage_fixtures.fixtures import (
    leakage_dataset,
    leakage_generated,
    leakage_generations,
    leakage_measurement,
    leakage_model,
    leakage_scores,
    leakage_snapshot,
    leakage_spec,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "leakage_dataset",
    "leakage_generated",
    "leakage_generations",
    "leakage_measurement",
    "leakage_model",
    "leakage_scores",
    "leakage_snapshot",
    "leakage_spec",
]


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the command-line and ini options."""
    other_snapshots.make_way(pluginmanager)
    options.add_options(parser)


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """Refuse a command line on which pytest mistakes a model's folder for a test folder."""
    rootdir.check_root(early_config)


def pytest_configure(config: pytest.Config) -> None:
    """Register markers, and refuse invalid settings before collection."""
    config.addinivalue_line("markers", "leakage(...): a test of expression leakage")
    config.addinivalue_line("markers", "leakage_judges(rule): a test that judges by this rule")
    config.addinivalue_line("markers", "leakage_snapshots: a test that compares with a snapshot")
    config.addinivalue_line("markers", "gpu: a test whose model runs on CUDA")
    if settings.is_disabled(config):
        from leakage_fixtures.results import Disabled

        config.pluginmanager.register(Disabled(config), "leakage-disabled")
        return
    used = settings.in_use(config)
    if used:  # sessions without leakage tests get no per-test hooks
        from leakage_fixtures.results import Results

        config.pluginmanager.register(Results(config), "leakage-results")
    if hasattr(config, "workerinput"):
        if used:
            workers.pin_gpu(config)
        return
    if used and getattr(config.option, "tx", None) and config.option.verbose >= 0:
        from leakage_fixtures.relay import Relay

        config.pluginmanager.register(Relay(config), "leakage-relay")
    workers.refuse_snapshot_update(config)
    if settings.asked(config):
        with environment.blamed(config):
            collection.check(config)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Use a scheduler that keeps the tests of one measurement on one worker."""
    return workers.scheduler(config, log)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Parametrise leakage tests with the requested models and datasets."""
    collection.parametrise(metafunc)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> Generator[None]:
    """Hide rate snapshots from syrupy, which handles unused snapshots in this hook."""
    if not session.config.pluginmanager.hasplugin("syrupy"):
        return (yield)
    from leakage_fixtures.snapshots import waiting

    with waiting():
        return (yield)
