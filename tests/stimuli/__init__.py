"""Tests of exleak.stimuli."""
