"""Tests of exleak.cli."""
