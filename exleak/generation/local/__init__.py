"""Continuations from a checkpoint on this machine."""
