"""Loads the plugin where it is not installed, and pytester; nothing else."""

from importlib.metadata import entry_points

_PLUGIN = "leakage_fixtures.plugin"
_INSTALLED = {entry.name for entry in entry_points(group="pytest11")}

pytest_plugins = ["pytester"] if _PLUGIN in _INSTALLED else ["pytester", _PLUGIN]
