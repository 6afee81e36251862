"""Tests of exleak.rates."""
