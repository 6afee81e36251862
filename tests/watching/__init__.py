"""Tests of exleak.watching."""
