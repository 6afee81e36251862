"""Semantic leakage: L and μ_L (Eq. 3 and 4 of the paper) in three aggregations."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Literal

from exleak.rates.intervals import LEVEL, clustered_rate
from exleak.rates.pairs import (
    DECIMALS,
    Pair,
    chance_above,
    difference,
    heuristic,
    injected_sentences,
)
from exleak.records import Rate, Semantic

Aggregation = Literal["paired", "instance", "superiority"]


def semantic(
    pairs: Sequence[Pair], *, decimals: int | None = None, level: float = LEVEL
) -> Semantic:
    """Every semantic leakage rate (Eq. 3 and 4), over the pairs that have a concept.

    Args:
        pairs: Pairs with similarities.
        decimals: Round similarities to this many decimals before comparing.
        level: One-sided confidence of the bounds.
    """
    known = [pair for pair in pairs if pair.test_similarity is not None]
    conditions = [
        name
        for name in ("positive", "neutral", "negative", "test")
        if any(pair.condition == name for pair in known)
    ]
    return Semantic(
        paired=_semantic(known, "paired", decimals, level),
        instance=_semantic(known, "instance", decimals, level),
        superiority=_semantic(known, "superiority", decimals, level),
        by_condition={
            name: _semantic([p for p in known if p.condition == name], "instance", decimals, level)
            for name in conditions
        },
    )


def _semantic(
    pairs: Sequence[Pair], aggregation: Aggregation, decimals: int | None, level: float
) -> Rate:
    values: list[float] = []
    controls: list[str] = []
    injected: list[Hashable] = []
    for pair, second in zip(pairs, injected_sentences(pairs), strict=True):
        pair_values = similarity_values(pair, aggregation, decimals)
        values += pair_values
        controls += [pair.cluster] * len(pair_values)
        injected += [second] * len(pair_values)
    return clustered_rate(
        values,
        controls,
        injected,
        level=level,
        ties=sum(value == 0.5 for value in values) if aggregation != "superiority" else 0,
    )


def similarity_values(pair: Pair, aggregation: Aggregation, decimals: int | None) -> list[float]:
    """L of one pair: one value per index for ``"paired"``, otherwise a single value."""
    assert pair.test_similarity is not None
    assert pair.reference_similarity is not None
    test, control = pair.test_similarity, pair.reference_similarity
    digits = DECIMALS if decimals is None else decimals
    test, control = test.round(digits), control.round(digits)
    if aggregation == "instance":
        return [heuristic(difference(test, control))]
    if aggregation == "superiority":
        return [chance_above(test, control)]
    by_index = dict(zip(pair.reference_index, control.tolist(), strict=True))
    return [
        heuristic(value - by_index[index])
        for index, value in zip(pair.test_index, test.tolist(), strict=True)
        if index in by_index
    ]
