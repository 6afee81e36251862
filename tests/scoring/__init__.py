"""Tests of exleak.scoring."""
