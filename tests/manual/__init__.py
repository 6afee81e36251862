"""Tests of the manual: docs/ and the pages beside it."""
