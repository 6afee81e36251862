"""Streaming top-m: the most confident sentences of a class, in memory bounded by m."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Candidate:
    """A sentence that may be used for a class; candidates compare by confidence.

    Attributes:
        confidence: Probability of the class.
        tiebreak: A hash of the text, so that ties do not depend on the order of the stream.
        text: The sentence.
    """

    confidence: float
    tiebreak: int
    text: str


def tiebreak(text: str) -> int:
    """A number that stands for a text, the same everywhere."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Pool:
    """The best distinct sentences offered so far, and how often each was offered.

    The content depends on what was offered, not on the order: a sentence among the best of all is
    among the best of those offered before it, so it enters when it first comes and stays.

    Args:
        size: How many to keep.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[Candidate] = []
        self._copies: dict[str, int] = {}

    def offer(self, text: str, confidence: float, copies: int = 1) -> bool:
        """Offer a sentence.

        Returns:
            Whether it is among the best now.
        """
        if text in self._copies:
            self._copies[text] += copies
            return True
        full = len(self._heap) >= self._size
        if full and confidence < self._heap[0].confidence:
            return False
        candidate = Candidate(confidence, tiebreak(text), text)
        if full:
            if candidate < self._heap[0]:
                return False
            del self._copies[heapq.heapreplace(self._heap, candidate).text]
        else:
            heapq.heappush(self._heap, candidate)
        self._copies[text] = copies
        return True

    def best(self) -> list[Candidate]:
        """What is kept, best first."""
        return sorted(self._heap, reverse=True)

    @property
    def duplicates(self) -> int:
        """How many of the sentences offered were copies of one that is kept."""
        return sum(self._copies.values()) - len(self._copies)
