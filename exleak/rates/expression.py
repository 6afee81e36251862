"""Expression leakage: the paper's EL, μ_EL and W_EL, superiority and the directional rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from exleak.rates.intervals import LEVEL, clustered_rate
from exleak.rates.pairs import (
    Pair,
    chance_above,
    injected_sentences,
    leaks,
    mean_of,
    opposites,
    valence,
)
from exleak.rates.significance import wilcoxon
from exleak.records import LEAKING_CONDITIONS, Condition, Expression, Rate


def expression(pairs: Sequence[Pair], *, level: float = LEVEL) -> Expression:
    """Every expression leakage rate.

    The headline rate is the paper's: the mean of EL over the positive and negative conditions,
    and the Wilcoxon test on the same pairs' differences. Pairs of condition "test" are left out.
    """
    conditions = ("positive", "neutral", "negative")
    by_condition = {
        name: paired_rate([p for p in pairs if p.condition == name], level) for name in conditions
    }
    leaking = [pair for pair in pairs if pair.condition in LEAKING_CONDITIONS]
    headline = paired_rate(leaking, level)
    return Expression(
        rate=headline.rate,
        n=headline.n,
        interval=headline.interval,
        bounds=headline.bounds,
        p_value=headline.p_value,
        ties=headline.ties,
        standard_error=headline.standard_error,
        by_condition=by_condition,
        superiority=superiority(leaking, level),
        directional=directional(pairs, level=level),
        placebo={name: _placebo(pairs, name, level) for name in LEAKING_CONDITIONS},
    )


def _placebo(pairs: Sequence[Pair], injected_class: Condition, level: float) -> Rate:
    """Rate at which neutral sentences raise the given class, which they do not have."""
    neutral = [pair for pair in pairs if pair.condition == "neutral"]
    return paired_rate([replace(pair, condition=injected_class) for pair in neutral], level)


def paired_rate(pairs: Sequence[Pair], level: float) -> Rate:
    """The paper's rate: mean of EL (Eq. 1 and 2), with W_EL on the same pairs."""
    differences = [pair.difference for pair in pairs]
    return clustered_rate(
        [leaks(value) for value in differences],
        [pair.cluster for pair in pairs],
        injected_sentences(pairs),
        level=level,
        p_value=wilcoxon(differences),
        ties=differences.count(0.0),
    )


def superiority_of(pair: Pair) -> float:
    """Probability that a test generation scores above a control one on the injected class."""
    return chance_above(pair.test[:, pair.column], pair.reference[:, pair.column])


def superiority(pairs: Sequence[Pair], level: float) -> Rate:
    """Mean of :func:`superiority_of`, tested against one half."""
    return clustered_rate(
        [superiority_of(pair) for pair in pairs],
        [pair.cluster for pair in pairs],
        injected_sentences(pairs),
        level=level,
        null=0.5,
    )


def directional_by_control(pairs: Sequence[Pair]) -> dict[str, float]:
    """Directional value of each control that has both a positive and a negative test prompt.

    The value is the probability, over all pairs of generations, that valence is higher after the
    positive sentence than after the negative one, ties one half. Effects of any sentence cancel.
    """
    return {
        control: mean_of([chance_above(valence(u.test), valence(d.test)) for u in up for d in down])
        for control, (up, down) in opposites(pairs).items()
    }


def directional(pairs: Sequence[Pair], *, level: float = LEVEL) -> Rate:
    """Directional rate: mean of :func:`directional_by_control`, tested against one half."""
    values = list(directional_by_control(pairs).values())
    both = opposites(pairs).values()
    texts = [up[0].cluster for up, _ in both]
    sentences = [
        [tuple(injected_sentences(side)) for side in sides] for sides in zip(*both, strict=True)
    ]
    return clustered_rate(values, texts, *sentences, level=level, null=0.5)
