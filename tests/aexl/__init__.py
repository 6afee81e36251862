"""AEXL: building leakage datasets from text."""
