"""One sentence of each class for a sample, of equal length where that is asked for.

In the paper's own AEXL the neutral sentences are half again as long as the others (Figure 1b), so
that an effect of length and one of neutrality cannot be told apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from exleak.records import CLASSES

#: Most that the lengths of a sample's sentences may differ by when equal ones run out.
_TOLERANCE = 2


@dataclass(frozen=True)
class Triple:
    """The three sentences of a sample.

    Attributes:
        negative, neutral, positive: The sentences.
        rank: Of its last drawn member in the sample of that class; lower is better.
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
    """Triples of the sentences as they were drawn, whatever their length."""
    columns = [sampled[label] for label in CLASSES]
    rows = zip(*columns, strict=False)
    return [Triple(one, two, three, rank) for rank, (one, two, three) in enumerate(rows)]


def balanced(
    sampled: Mapping[str, Sequence[str]], length: Callable[[str], int]
) -> tuple[list[Triple], list[Triple]]:
    """Triples of sentences of equal length, and some of nearly equal length to fall back on.

    At each length as many triples are made as the rarest class allows, of the sentences drawn
    first. So the three classes have one and the same distribution of lengths.

    Args:
        sampled: The sentences drawn for each class, in the order drawn.
        length: The length of a sentence.

    Returns:
        Triples of equal length, and triples whose lengths differ by at most two; in both the
        sentences drawn first come first.
    """
    left = {
        label: [(length(text), rank, text) for rank, text in enumerate(texts)]
        for label, texts in sampled.items()
    }
    exact = _sweep(left, 0)
    near = [triple for gap in range(1, _TOLERANCE + 1) for triple in _sweep(left, gap)]
    return _first_drawn(exact), near


def _first_drawn(triples: list[Triple]) -> list[Triple]:
    return sorted(triples, key=lambda triple: (triple.rank, triple.texts))


def _sweep(left: dict[str, list[tuple[int, int, str]]], gap: int) -> list[Triple]:
    """Take triples that differ by at most `gap`, shortest first, out of what is left."""
    columns = [sorted(left[label]) for label in CLASSES]
    unused: list[list[tuple[int, int, str]]] = [[], [], []]
    at = [0, 0, 0]
    found = []
    while all(index < len(column) for index, column in zip(at, columns, strict=True)):
        heads = [column[index] for index, column in zip(at, columns, strict=True)]
        lengths = [head[0] for head in heads]
        if max(lengths) - min(lengths) <= gap:
            found.append(Triple(heads[0][2], heads[1][2], heads[2][2], max(h[1] for h in heads)))
            at = [index + 1 for index in at]
        else:
            shortest = lengths.index(min(lengths))
            unused[shortest].append(heads[shortest])
            at[shortest] += 1
    for label, column, index, skipped in zip(CLASSES, columns, at, unused, strict=True):
        left[label] = skipped + column[index:]
    return found
