"""Tests of exleak.store."""
