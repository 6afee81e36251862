"""Tests of the human check: hand out blindly, read what comes back, say what it is worth."""
