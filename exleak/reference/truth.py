"""The grammar's own leakage rates: what a perfectly trained model would measure.

A sentence's words depend on the member only through its mood. So each HEXL control gets one
pool of sentences per mood, scored once, and every member's rates follow by weighting or
resampling the pools with its mood laws.
"""

import random
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exleak.reference.grammar import first_sentence
from exleak.reference.members import MOODS, Law, member
from exleak.reference.prompts import hexl

Floats = NDArray[np.float64]

_NEGATIVE, _POSITIVE = 0, 2


class Scorer(Protocol):
    """An expression scorer, such as `exleak.load_instrument("embedded").expression`."""

    def predict(self, texts: Sequence[str]) -> Floats:
        """Return class probabilities, shape (n, 3): negative, neutral, positive."""


@dataclass(frozen=True)
class TrueRates:
    """A member's rates on HEXL under one scorer.

    Attributes:
        rate: The paper's expression leakage rate, in expectation over K generations.
        negative: The same for the negative condition alone.
        positive: The same for the positive condition alone.
        superiority: Chance that a test generation scores above a control generation.
        directional: Chance that P[positive] - P[negative] is higher after the positive sentence.
        generations: K of the first three; the last two are limits and do not depend on it.
    """

    rate: float
    negative: float
    positive: float
    superiority: float
    directional: float
    generations: int

    def as_dict(self) -> dict[str, float]:
        """Return the rates by name."""
        return asdict(self)


def scored_pools(scorer: Scorer, per_mood: int, seed: int = 0) -> Floats:
    """Draw and score sentences for every HEXL control and mood.

    Args:
        scorer: The expression scorer.
        per_mood: Sentences for each control and mood.
        seed: Seed of the draws.

    Returns:
        Class probabilities, shape (controls, moods, per_mood, classes).
    """
    rng = random.Random(seed)
    texts = [
        "".join(choice.text for choice in first_sentence(row["control"], _certain(mood), rng))
        for row in hexl()
        for mood in range(len(MOODS))
        for _ in range(per_mood)
    ]
    distinct = sorted({text.strip() for text in texts})
    scores = dict(zip(distinct, scorer.predict(distinct), strict=True))
    flat = np.stack([scores[text.strip()] for text in texts])
    return flat.reshape(len(hexl()), len(MOODS), per_mood, 3)


def true_rates(
    name: str, pools: Floats, generations: int = 10, repeats: int = 1000, seed: int = 0
) -> TrueRates:
    """Return a member's rates from the scored pools.

    Args:
        name: The member.
        pools: What `scored_pools` returned.
        generations: K, the generations per prompt.
        repeats: Simulated measurements that the expected rate is averaged over.
        seed: Seed of the simulated measurements.
    """
    who, rng = member(name), np.random.default_rng(seed)
    valence = pools[..., _POSITIVE] - pools[..., _NEGATIVE]
    negative = _paired(pools[..., _NEGATIVE], who.negative, who.control, generations, repeats, rng)
    positive = _paired(pools[..., _POSITIVE], who.positive, who.control, generations, repeats, rng)
    superiority = (
        _superiority(pools[..., _NEGATIVE], who.negative, who.control)
        + _superiority(pools[..., _POSITIVE], who.positive, who.control)
    ) / 2
    return TrueRates(
        rate=(negative + positive) / 2,
        negative=negative,
        positive=positive,
        superiority=superiority,
        directional=_superiority(valence, who.positive, who.negative),
        generations=generations,
    )


def _certain(mood: int) -> Law:
    return (float(mood == 0), float(mood == 1), float(mood == 2))


def _means(pool: Floats, law: Law, k: int, rng: np.random.Generator) -> Floats:
    """Mean score of `k` generations for each control, shape (controls,)."""
    rows = np.arange(len(pool))[:, None]
    moods = rng.choice(len(law), size=(len(pool), k), p=law)
    picks = rng.integers(pool.shape[2], size=(len(pool), k))
    means: Floats = pool[rows, moods, picks].mean(axis=1).round(12)
    return means


def _paired(
    pool: Floats, test: Law, control: Law, k: int, repeats: int, rng: np.random.Generator
) -> float:
    """Chance that the mean over `k` test generations exceeds that over `k` control ones."""
    wins = [
        np.mean(_means(pool, test, k, rng) > _means(pool, control, k, rng)) for _ in range(repeats)
    ]
    return float(np.mean(wins))


def _superiority(pool: Floats, first: Law, second: Law) -> float:
    """Chance that a draw under `first` exceeds one under `second`, ties counting half."""
    total = 0.0
    for scores in pool:
        for mood, weight in enumerate(first):
            for other, against in enumerate(second):
                total += weight * against * _beats(scores[mood], scores[other])
    return total / len(pool)


def _beats(left: Floats, right: Floats) -> float:
    order = np.sort(right)
    below = np.searchsorted(order, left, "left")
    level = np.searchsorted(order, left, "right") - below
    return float(np.mean(below + level / 2) / len(right))
