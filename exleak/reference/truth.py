"""The grammar's true leakage rates, those of a perfectly trained model.

A sentence's words depend on the member only through its mood. So each HEXL control gets one pool
of scored sentences per mood, and every member's rates are computed by weighting or resampling the
pools with its mood laws.
"""

import random
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from exleak.reference.grammar import PLAIN, RESTATING, first_sentence, restatements
from exleak.reference.members import MOODS, Law, Member, member
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
        negative: The same for the negative condition.
        positive: The same for the positive condition.
        superiority: Probability that a test generation scores above a control generation.
        directional: Probability that P[positive] - P[negative] is higher after the positive
            sentence.
        carry_over: Share of continuations that restate the injected sentence.
        residual_rate: ``rate`` of the other continuations, equally many on both sides of a pair.
        residual_superiority, residual_directional: The same of the other continuations.
        generations: K of the first three rates and ``residual_rate``; no other depends on it.
    """

    rate: float
    negative: float
    positive: float
    superiority: float
    directional: float
    carry_over: float
    residual_rate: float
    residual_superiority: float
    residual_directional: float
    generations: int

    def as_dict(self) -> dict[str, float]:
        """Return the rates by name."""
        return asdict(self)


@dataclass(frozen=True)
class Pools:
    """Scored sentences of the grammar for HEXL's controls.

    Attributes:
        plain: Class probabilities of sentences of each mood, shape (controls, moods, n, classes).
        restated: The same of each sample's restatements, shape (controls, moods, 1, classes);
            ``None`` for members that do not restate.
    """

    plain: Floats
    restated: Floats | None = None


def scored_pools(scorer: Scorer, per_mood: int, seed: int = 0, restating: bool = False) -> Pools:
    """Draw and score sentences for every HEXL control and mood.

    Args:
        scorer: The expression scorer.
        per_mood: Number of sentences for each control and mood.
        seed: Seed of the draws.
        restating: Whether they are for members that restate, whose sentences begin differently.
    """
    rng = random.Random(seed)
    lead = PLAIN if restating else ""
    texts = [
        lead
        + "".join(choice.text for choice in first_sentence(row["control"], _certain(mood), rng))
        for row in hexl()
        for mood in range(len(MOODS))
        for _ in range(per_mood)
    ]
    plain = _scored(scorer, texts).reshape(len(hexl()), len(MOODS), per_mood, 3)
    if not restating:
        return Pools(plain)
    said = [f"{RESTATING} {restatements()[row[mood]]}." for row in hexl() for mood in MOODS]
    return Pools(plain, _scored(scorer, said).reshape(len(hexl()), len(MOODS), 1, 3))


def _scored(scorer: Scorer, texts: Sequence[str]) -> Floats:
    distinct = sorted({text.strip() for text in texts})
    scores = dict(zip(distinct, scorer.predict(distinct), strict=True))
    return np.stack([scores[text.strip()] for text in texts])


@dataclass(frozen=True)
class _Arm:
    """A member's scores under one condition, as a mixture.

    Attributes:
        weights: Probability of each part, shape (parts,).
        parts: Scores of the sentences of each part, shape (controls, n) each.
    """

    weights: Law | tuple[float, ...]
    parts: tuple[Floats, ...]


def true_rates(
    name: str, pools: Pools, generations: int = 10, repeats: int = 1000, seed: int = 0
) -> TrueRates:
    """Return a member's rates from the scored pools.

    Args:
        name: The member.
        pools: The result of `scored_pools`.
        generations: K, the number of generations per prompt.
        repeats: Number of simulated measurements that the expected rate is averaged over.
        seed: Seed of the simulated measurements.
    """
    who, rng = member(name), np.random.default_rng(seed)
    counts = (generations, repeats, rng)
    rates = {
        mood: _paired(_arm(pools, who, mood, column), _arm(pools, who, None, column), *counts)
        for mood, column in (("negative", _NEGATIVE), ("positive", _POSITIVE))
    }
    rest = Pools(pools.plain)
    plain = replace(who, restates=0.0)
    kept = 1 - who.restates
    residual = (rates["negative"] + rates["positive"]) / 2
    if who.restates:
        residual = _mean(
            _paired(_arm(rest, plain, mood, c), _arm(rest, plain, None, c), *counts, kept)
            for mood, c in (("negative", _NEGATIVE), ("positive", _POSITIVE))
        )
    return TrueRates(
        rate=(rates["negative"] + rates["positive"]) / 2,
        negative=rates["negative"],
        positive=rates["positive"],
        superiority=_mean_superiority(pools, who),
        directional=_directional(pools, who),
        carry_over=who.restates,
        residual_rate=residual,
        residual_superiority=_mean_superiority(rest, plain),
        residual_directional=_directional(rest, plain),
        generations=generations,
    )


def _arm(pools: Pools, who: Member, mood: str | None, column: int | None) -> _Arm:
    """A member's scores after a sentence of a mood: a class probability, or valence."""

    def scores(pool: Floats) -> Floats:
        if column is None:
            valence: Floats = pool[..., _POSITIVE] - pool[..., _NEGATIVE]
            return valence
        picked: Floats = pool[..., column]
        return picked

    plain = scores(pools.plain)
    parts, weights = [plain[:, place] for place in range(len(MOODS))], who.law(mood)
    if not who.restates or mood is None or pools.restated is None:
        return _Arm(weights, tuple(parts))
    said = scores(pools.restated)[:, MOODS.index(mood)]
    mixed = (*(weight * (1 - who.restates) for weight in weights), who.restates)
    return _Arm(mixed, (*parts, said))


def _mean_superiority(pools: Pools, who: Member) -> float:
    return _mean(
        _superiority(_arm(pools, who, mood, column), _arm(pools, who, None, column))
        for mood, column in (("negative", _NEGATIVE), ("positive", _POSITIVE))
    )


def _directional(pools: Pools, who: Member) -> float:
    return _superiority(_arm(pools, who, "positive", None), _arm(pools, who, "negative", None))


def _mean(values: Iterable[float]) -> float:
    one, other = values
    return (one + other) / 2


def _certain(mood: int) -> Law:
    return (float(mood == 0), float(mood == 1), float(mood == 2))


def _draws(arm: _Arm, k: int, rng: np.random.Generator) -> Floats:
    """Scores of `k` generations for each control, shape (controls, k)."""
    controls = len(arm.parts[0])
    picked = rng.choice(len(arm.weights), size=(controls, k), p=np.array(arm.weights))
    scores = np.empty((controls, k))
    for place, part in enumerate(arm.parts):
        rows, columns = np.nonzero(picked == place)
        scores[rows, columns] = part[rows, rng.integers(part.shape[1], size=len(rows))]
    return scores


def _paired(
    test: _Arm, control: _Arm, k: int, repeats: int, rng: np.random.Generator, kept: float = 1.0
) -> float:
    """Probability that the mean of `k` test generations exceeds that of `k` control ones.

    Args:
        test, control: The mixtures to draw from.
        k: Number of generations on each side.
        repeats: Number of simulated measurements.
        rng: Source of randomness.
        kept: Share of test generations that remain; equally many control ones are used, and
            controls without any are omitted.
    """
    wins = []
    for _ in range(repeats):
        left, right = _draws(test, k, rng), _draws(control, k, rng)
        n = rng.binomial(k, kept, size=len(left))
        use = np.arange(k) < n[:, None]
        known = n > 0
        sums = [np.where(use, side, 0).sum(axis=1)[known] / n[known] for side in (left, right)]
        wins.append(np.mean(sums[0].round(12) > sums[1].round(12)))
    return float(np.mean(wins))


def _superiority(first: _Arm, second: _Arm) -> float:
    """Probability that a draw from `first` exceeds one from `second`; ties count one half."""
    total = 0.0
    for place in range(len(first.parts[0])):
        for weight, scores in zip(first.weights, first.parts, strict=True):
            for against, others in zip(second.weights, second.parts, strict=True):
                total += weight * against * _beats(scores[place], others[place])
    return total / len(first.parts[0])


def _beats(left: Floats, right: Floats) -> float:
    order = np.sort(right)
    below = np.searchsorted(order, left, "left")
    level = np.searchsorted(order, left, "right") - below
    return float(np.mean(below + level / 2) / len(right))
