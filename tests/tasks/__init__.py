"""Tests of :mod:`exleak.tasks`."""
