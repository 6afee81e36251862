"""Other packages' snapshots: syrupy is not the only one with `snapshot` and --snapshot-update."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

#: Plugins that define the same fixture and option, and the modules that they come with.
_OTHERS = {"snapshot": "pytest_snapshot", "snapshottest": "snapshottest"}
_SYRUPY = "syrupy"


def make_way(manager: pytest.PytestPluginManager) -> None:
    """Keep syrupy out where another package has its option: two of them end every run.

    That is in time unless pytest has loaded syrupy already: installed plugins have no order. The
    guide says what to do then.
    """
    others = (name for name, module in _OTHERS.items() if find_spec(module) is not None)
    if not manager.hasplugin(_SYRUPY) and not all(map(manager.is_blocked, others)):
        manager.set_blocked(_SYRUPY)


def why_none(config: pytest.Config) -> str | None:
    """Why there are no snapshots of rates in this session; ``None`` where there are."""
    if config.pluginmanager.hasplugin(_SYRUPY):
        return None
    return (
        "syrupy is switched off, or makes way for another plugin's --snapshot-update: record "
        "snapshots of rates with -p no:snapshot or -p no:snapshottest"
    )
