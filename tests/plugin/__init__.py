"""Tests that drive the plugin in toy repositories."""
