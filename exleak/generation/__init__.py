"""Continuations of prompts, by a checkpoint on this machine or a server."""
