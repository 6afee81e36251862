"""Instruments whose scores are known: read off words."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from exleak.scoring import Instrument


class Words:
    """A scorer that reads the class off the words "good" and "bad"."""

    hash = "words"

    def predict(self, texts: Sequence[str]) -> Any:
        """Half of the mass for each mood word, the rest neutral."""
        up = np.array(["good" in text for text in texts], dtype=float) * 0.9
        down = np.array(["bad" in text for text in texts], dtype=float) * 0.9
        return np.stack([down, 1 - up - down, up], axis=1).reshape(len(texts), 3)

    def embed(self, texts: Sequence[str]) -> Any:
        """Unit vectors that depend on the first letter."""
        rows = np.array([[ord(text[:1].lower() or " "), 100.0] for text in texts]).reshape(-1, 2)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


WORDS = Instrument("words", Words(), Words())


class Hashed(Words):
    """Scores that differ for any two texts and mean nothing: for texts that mean nothing."""

    hash = "hashed"

    def predict(self, texts: Sequence[str]) -> Any:
        """Probabilities from the bytes of a digest, shape (n, 3)."""
        digests = [hashlib.sha256(text.encode()).digest()[:3] for text in texts]
        parts = np.array([list(digest) for digest in digests], dtype=float).reshape(-1, 3) + 1
        return parts / parts.sum(axis=1, keepdims=True)


HASHED = Instrument("hashed", Hashed(), Hashed())


class Topics(Words):
    """Scores moods by words, and embeds texts by whether they speak of the sea or of a train."""

    hash = "topics"

    def embed(self, texts: Sequence[str]) -> Any:
        """Unit vectors, shape (n, 3)."""
        rows = np.array([["sea" in t, "train" in t, 1.0] for t in texts], dtype=float)
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)


TOPICS = Instrument("topics", Topics(), Topics())
