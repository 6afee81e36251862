"""The suite on the reference models of leakage.toml: one must pass, one must be caught."""

from leakage_fixtures.suite import TestLeakage

__all__ = ["TestLeakage"]
