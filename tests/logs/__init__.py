"""Tests of exleak.logs."""
