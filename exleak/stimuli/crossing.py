"""Gives each control one sentence of each class: of about equal length, and used evenly."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from exleak.aexl.balance import Triple, balanced
from exleak.aexl.pairing import Unrelated, match
from exleak.errors import DatasetError

if TYPE_CHECKING:
    from exleak.aexl.duplicates import Embed

#: How many times more sets of three sentences than samples are compared with controls, at most.
_CHOICE = 5


def cross(
    sentences: Mapping[str, Sequence[str]],
    controls: Sequence[str],
    *,
    samples: int,
    seed: int,
    length: Callable[[str], int],
    embed: Embed,
    max_similarity: float,
) -> list[tuple[Triple, str]]:
    """Match each of the first controls that can be matched with three sentences.

    Within a class, no sentence is used twice before every one is used once. The three sentences of
    a control are as near in length as that allows.

    Args:
        sentences: The distinct sentences of each class, at least one.
        controls: The distinct controls.
        samples: How many of them to match.
        seed: Random seed of the order in which sentences are drawn.
        length: The length of a sentence.
        embed: Unit vectors (n, d) of n texts.
        max_similarity: Largest cosine similarity of a sentence and its control; they also share no
            content word. 1 turns both checks off.

    Returns:
        The matches, in the order of the controls.

    Raises:
        DatasetError: There are not enough controls unrelated to their sentences.
    """
    drawn = {label: _drawn(texts, samples, seed, label) for label, texts in sentences.items()}
    lengths = [length(text) for texts in drawn.values() for text in texts]
    exact, near = balanced(drawn, length, max(lengths) - min(lengths))
    triples = (exact + near)[: _CHOICE * samples]
    unrelated = Unrelated(triples, controls, embed, max_similarity)
    pairs = match(len(triples), len(controls), unrelated, samples)
    if len(pairs) < samples:
        raise DatasetError(
            f"only {len(pairs)} of {samples} samples can be made: no further control is unrelated "
            f"to the sentences left; give --samples {len(pairs)}, or a larger --max-similarity "
            f"than {max_similarity:g}"
        )
    chosen = sorted(pairs, key=lambda pair: pair[1])
    return [(triples[triple], controls[control]) for triple, control in chosen]


def _drawn(texts: Sequence[str], wanted: int, seed: int, label: str) -> list[str]:
    """All texts in random order; if they are fewer than wanted, again in other orders."""
    rng = random.Random(f"{seed}:{label}")
    drawn = rng.sample(texts, len(texts))
    while len(drawn) < wanted:
        drawn += rng.sample(texts, min(len(texts), wanted - len(drawn)))
    return drawn
