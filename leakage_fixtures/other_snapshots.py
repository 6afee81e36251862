"""Avoids conflicts of syrupy with other plugins that define ``--snapshot-update``."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

#: Plugins that define the same fixture and option, and their modules.
_OTHERS = {"snapshot": "pytest_snapshot", "snapshottest": "snapshottest"}
_SYRUPY = "syrupy"


def make_way(manager: pytest.PytestPluginManager) -> None:
    """Block syrupy if another plugin defines its option, since pytest refuses to run with both.

    This works only if pytest has not loaded syrupy yet; the order of installed plugins is
    undefined. docs/snapshots.md says what to do otherwise.
    """
    others = (name for name, module in _OTHERS.items() if find_spec(module) is not None)
    if not manager.hasplugin(_SYRUPY) and not all(map(manager.is_blocked, others)):
        manager.set_blocked(_SYRUPY)


def why_none(config: pytest.Config) -> str | None:
    """Why rate snapshots are not available in this session; ``None`` if they are."""
    if config.pluginmanager.hasplugin(_SYRUPY):
        return None
    return (
        "syrupy is switched off, or makes way for another plugin's --snapshot-update: record "
        "snapshots of rates with -p no:snapshot or -p no:snapshottest"
    )
