"""Tests of exleak.gate."""
