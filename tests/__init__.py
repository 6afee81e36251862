"""Tests of the instrument, one module for each of its modules."""
