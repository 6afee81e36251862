"""Continuations by a checkpoint on this machine."""
