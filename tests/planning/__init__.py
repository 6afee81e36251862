"""Tests of exleak/planning."""
