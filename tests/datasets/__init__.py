"""Tests of exleak.datasets."""
