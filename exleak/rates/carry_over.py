"""Carry-over rates: how often continuations restate the injected sentence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak.rates.intervals import LEVEL, clustered_rate
from exleak.rates.pairs import Pair, injected_sentences
from exleak.records import LEAKING_CONDITIONS, CarryOver, Rate, Thresholds

if TYPE_CHECKING:
    from exleak.rates.pairs import Flags


def carry_over(
    pairs: Sequence[Pair], thresholds: Thresholds | None, *, level: float = LEVEL
) -> CarryOver:
    """Share of the continuations that restate the injected sentence.

    Args:
        pairs: A measurement's pairs; those whose injected sentence is unknown are left out.
        thresholds: The restatement thresholds that the pairs' flags were made with.
        level: One-sided confidence of the bounds.
    """
    known = [pair for pair in pairs if pair.test_carries is not None]
    leaking = [pair for pair in known if pair.condition in LEAKING_CONDITIONS]
    return CarryOver(
        thresholds=thresholds,
        share=_share(leaking, [pair.test_carries for pair in leaking], level),
        by_condition={
            name: _share(arm, [pair.test_carries for pair in arm], level)
            for name in ("positive", "neutral", "negative", "test")
            if (arm := [pair for pair in known if pair.condition == name])
        },
        control=_share(known, [pair.reference_carries for pair in known], level),
    )


def _share(pairs: Sequence[Pair], flags: Sequence[Flags | None], level: float) -> Rate:
    return clustered_rate(
        [0.0 if carries is None else float(carries.mean()) for carries in flags],
        [pair.cluster for pair in pairs],
        injected_sentences(pairs),
        level=level,
    )
