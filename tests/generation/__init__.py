"""Tests of exleak.generation."""
