"""Tests of the reports, on measurements whose every text is hostile or every number known."""
