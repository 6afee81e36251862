"""Every model of leakage.toml against its limit."""

from leakage_fixtures.suite import TestLeakage  # noqa: F401
