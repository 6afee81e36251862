"""Weighted sampling without replacement that depends only on the seed and the sentences.

Each sentence gets a number u from a hash of seed, class and text, and the n largest keys
log(u) / weight are drawn. This equals sequential sampling with probability proportional to weight
(P. S. Efraimidis and P. G. Spirakis, Weighted random sampling with a reservoir, 2006). The result
does not depend on order, processes or machines.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence

from exleak.aexl.pool import Candidate


def uniform(seed: int, *parts: str) -> float:
    """A pseudo-random number in (0, 1) from a hash of a seed and texts."""
    content = "\0".join((str(seed), *parts)).encode()
    drawn = int.from_bytes(hashlib.blake2b(content, digest_size=8).digest()) >> 11
    return (drawn + 0.5) / 2.0**53


def weighted_sample(
    candidates: Sequence[Candidate], n: int, seed: int, label: str
) -> list[Candidate]:
    """Draw up to n candidates without replacement, with their confidence as weight.

    Args:
        candidates: Distinct sentences; those with confidence 0 come last.
        n: Number of candidates to draw; if there are fewer, all are drawn.
        seed, label: Seed and class, which determine the draw.

    Returns:
        The candidates in the order drawn.
    """

    def key(candidate: Candidate) -> tuple[float, str]:
        drawn = uniform(seed, label, candidate.text)
        weight = candidate.confidence
        return (math.log(drawn) / weight if weight > 0 else -math.inf, candidate.text)

    return sorted(candidates, key=key, reverse=True)[:n]
