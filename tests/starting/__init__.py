"""Tests of exleak.starting."""
