"""Continuations from a model behind an OpenAI-compatible server."""
