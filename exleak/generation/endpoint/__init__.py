"""Continuations by a model behind an OpenAI-compatible server."""
