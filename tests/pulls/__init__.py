"""Tests of exleak.pulls."""
