"""Streaming top-m: the m best sentences of a class, in bounded memory."""

from __future__ import annotations

import hashlib
import heapq
from dataclasses import dataclass

from exleak.aexl.judging import Grade


@dataclass(frozen=True, order=True)
class Candidate:
    """A candidate sentence for a class, ordered by grade and confidence.

    Attributes:
        grade: How early it is used (:class:`exleak.aexl.judging.Grade`).
        confidence: Probability of the class.
        tiebreak: Hash of the text, so that ties do not depend on the order of the stream.
        text: The sentence.
    """

    grade: Grade
    confidence: float
    tiebreak: int
    text: str


def tiebreak(text: str) -> int:
    """A hash of a text that is the same on all machines."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())


class Pool:
    """The best distinct sentences offered so far, with the number of copies of each.

    The content does not depend on the order: a sentence that is among the best of all is also
    among the best of those offered earlier, so it enters at its first offer and stays.

    Args:
        size: Number of sentences to keep.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._heap: list[Candidate] = []
        self._copies: dict[str, int] = {}

    def offer(
        self, text: str, confidence: float, copies: int = 1, grade: Grade = Grade.SURE
    ) -> bool:
        """Offer a sentence.

        Returns:
            Whether it is now among the best.
        """
        if text in self._copies:
            self._copies[text] += copies
            return True
        full = len(self._heap) >= self._size
        if full and (grade, confidence) < (self._heap[0].grade, self._heap[0].confidence):
            return False
        candidate = Candidate(grade, confidence, tiebreak(text), text)
        if full:
            if candidate < self._heap[0]:
                return False
            del self._copies[heapq.heapreplace(self._heap, candidate).text]
        else:
            heapq.heappush(self._heap, candidate)
        self._copies[text] = copies
        return True

    def best(self) -> list[Candidate]:
        """The kept sentences, best first."""
        return sorted(self._heap, reverse=True)

    @property
    def duplicates(self) -> int:
        """Number of offered sentences that were copies of a kept one."""
        return sum(self._copies.values()) - len(self._copies)
