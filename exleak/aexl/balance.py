"""Combines one sentence of each class into the triple of a sample, optionally of equal length.

In the paper's AEXL the neutral sentences are half again as long as the others (Figure 1b), so the
effects of length and neutrality are confounded.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exleak.records import CLASSES

#: Largest difference of lengths within a sample of AEXL, once sentences of equal length run out.
_TOLERANCE = 2


@dataclass(frozen=True)
class Triple:
    """The three sentences of a sample.

    Attributes:
        negative, neutral, positive: The sentences.
        rank: Largest rank of a member in the drawing order of its class; lower is better.
    """

    negative: str
    neutral: str
    positive: str
    rank: int = 0

    @property
    def texts(self) -> tuple[str, str, str]:
        """The sentences, in the order of ``CLASSES``."""
        return self.negative, self.neutral, self.positive


def in_order(sampled: Mapping[str, Sequence[str]]) -> list[Triple]:
    """Triples of sentences in the order drawn, without balancing lengths."""
    columns = [sampled[label] for label in CLASSES]
    rows = zip(*columns, strict=False)
    return [Triple(one, two, three, rank) for rank, (one, two, three) in enumerate(rows)]


def balanced(
    sampled: Mapping[str, Sequence[str]],
    length: Callable[[str], int],
    tolerance: int = _TOLERANCE,
) -> tuple[list[Triple], list[Triple]]:
    """Triples of sentences of equal length, and fallback triples of nearly equal length.

    At each length the sentences drawn first form as many triples as the rarest class allows. So
    all three classes have the same distribution of lengths.

    Args:
        sampled: The sentences drawn for each class, in the order drawn.
        length: The length of a sentence.
        tolerance: Largest difference of lengths within a triple.

    Returns:
        Triples of equal length, those drawn first first; and triples whose lengths differ by at
        most ``tolerance``, by difference and length.
    """
    left = {
        label: [(length(text), rank, text) for rank, text in enumerate(texts)]
        for label, texts in sampled.items()
    }
    exact = _sweep(left, 0)
    near = [triple for gap in range(1, tolerance + 1) for triple in _sweep(left, gap)]
    return _first_drawn(exact), near


def _first_drawn(triples: list[Triple]) -> list[Triple]:
    return sorted(triples, key=lambda triple: (triple.rank, triple.texts))


def _sweep(left: dict[str, list[tuple[int, int, str]]], gap: int) -> list[Triple]:
    """Take triples whose lengths differ by at most `gap` out of `left`, shortest first."""
    columns = [sorted(left[label]) for label in CLASSES]
    unused: list[list[tuple[int, int, str]]] = [[], [], []]
    at = [0, 0, 0]
    triples = []
    while all(index < len(column) for index, column in zip(at, columns, strict=True)):
        heads = [column[index] for index, column in zip(at, columns, strict=True)]
        lengths = [head[0] for head in heads]
        if max(lengths) - min(lengths) <= gap:
            triples.append(Triple(heads[0][2], heads[1][2], heads[2][2], max(h[1] for h in heads)))
            at = [index + 1 for index in at]
        else:
            shortest = lengths.index(min(lengths))
            unused[shortest].append(heads[shortest])
            at[shortest] += 1
    for label, column, index, skipped in zip(CLASSES, columns, at, unused, strict=True):
        left[label] = skipped + column[index:]
    return triples
