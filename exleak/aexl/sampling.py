"""Weighted sampling without replacement that depends on the seed and the sentences alone.

Each sentence draws a number from a hash of seed, class and text, and the n largest keys
log(u) / weight win: that is sequential sampling with probability proportional to weight (P. S.
Efraimidis and P. G. Spirakis, Weighted random sampling with a reservoir, 2006). Order, processes
and machines cannot change it.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from exleak.aexl.pool import Candidate


def uniform(seed: int, *parts: str) -> float:
    """A number in (0, 1) made from a seed and texts."""
    content = "\0".join((str(seed), *parts)).encode()
    drawn = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) >> 11
    return (drawn + 0.5) / 2.0**53


def weighted_sample(
    candidates: Sequence[Candidate], n: int, seed: int, label: str
) -> list[Candidate]:
    """Draw up to n candidates, one after the other, in proportion to their confidence.

    Args:
        candidates: Distinct sentences; any with no confidence come last.
        n: How many to draw; all of them where there are fewer.
        seed, label: Together they name the draw.

    Returns:
        The candidates in the order drawn.
    """

    def key(candidate: Candidate) -> tuple[float, str]:
        drawn = uniform(seed, label, candidate.text)
        weight = candidate.confidence
        return (math.log(drawn) / weight if weight > 0 else -math.inf, candidate.text)

    return sorted(candidates, key=key, reverse=True)[:n]
