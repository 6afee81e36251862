"""Tests of exleak.sentences."""
