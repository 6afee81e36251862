"""Comparison of the annotators' decisions with the instrument's.

Both judge the same sentences. The instrument's decision is the paper's EL (Eq. 1) for one
generation each: the injected class is more probable in the test sentence. The annotators' decision
is a majority vote: more than half find the test sentence closer to the injected mood.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak import rates
from exleak.annotate.answers import Answers
from exleak.annotate.intervals import Clusters, Estimate, jackknife, mean
from exleak.annotate.key import Item, Key
from exleak.annotate.votes import decision, leanings, majority, vote_share
from exleak.records import CLASSES
from exleak.scoring.scores import check_scores

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scoring import Instrument


@dataclass(frozen=True)
class Comparison:
    """The human check of a run, over its positive and negative items.

    Attributes:
        items: Number of items with an answer to ``direction``.
        undecided: Items on which exactly half of the annotators say ``toward``; they count in the
            correlation, but not in the four numbers after it.
        correlation: Spearman's rank correlation of d with the vote share.
        human: Share of items on which the majority says ``toward``.
        automatic: Share of the same items on which d is above 0.
        accuracy: Share of items on which both decisions agree.
        kappa: Cohen's kappa of the two decisions.
        influence: Share of items whose majority sees an influence, by condition; the share of
            neutral items is the false-alarm rate.
    """

    items: int
    undecided: tuple[str, ...]
    correlation: Estimate
    human: Estimate
    automatic: Estimate
    accuracy: Estimate
    kappa: Estimate
    influence: dict[str, Estimate]


@dataclass(frozen=True)
class Labelling:
    """Comparison of the majority's labels with the dataset's.

    Attributes:
        items: Number of sentences with a majority.
        accuracy: Share of these on which the majority's label equals the dataset's.
        kappa: Cohen's kappa of the two.
        differing: Item, sentence, dataset label and majority label of each difference.
    """

    items: int
    accuracy: Estimate
    kappa: Estimate
    differing: tuple[tuple[str, str, str, str], ...]


def clusters_of(items: Sequence[Item]) -> Clusters:
    """The control prompt and the injected sentence of each item."""
    return Clusters(
        tuple(item.cluster for item in items), tuple(item.injected or item.id for item in items)
    )


def compare(key: Key, answers: Answers, instrument: Instrument) -> Comparison:
    """Compare annotators with the instrument.

    Raises:
        InstrumentError: The instrument's scores are not valid probabilities.
    """
    votes = {name: item_votes for name, item_votes in leanings(key, answers).items() if item_votes}
    items = [item for item in key.items if item.id in votes]
    d = differences(items, instrument)
    shares = [vote_share(votes[item.id]) for item in items]
    human = [decision(votes[item.id]) for item in items]
    decided = [i for i, value in enumerate(human) if value is not None]
    people = [float(human[i] or 0) for i in decided]
    machine = [rates.leaks(d[i]) for i in decided]
    near = clusters_of(items).take(decided)
    return Comparison(
        items=len(items),
        undecided=tuple(item.id for item, value in zip(items, human, strict=True) if value is None),
        correlation=_correlation(d, shares, clusters_of(items)),
        human=mean(people, near),
        automatic=mean(machine, near),
        accuracy=mean([float(a == b) for a, b in zip(people, machine, strict=True)], near),
        kappa=_kappa(people, machine, near),
        influence=_influence(key, answers),
    )


def differences(items: Sequence[Item], instrument: Instrument) -> list[float]:
    """The d of each item: probability of the injected class, test minus control sentence."""
    row = class_scores([text for item in items for text in (item.test, item.reference)], instrument)
    columns = [CLASSES.index(item.condition) for item in items]
    return [
        round(float(row[item.test][column] - row[item.reference][column]), rates.DECIMALS)
        for item, column in zip(items, columns, strict=True)
    ]


def class_scores(texts: Sequence[str], instrument: Instrument) -> dict[str, NDArray[np.float64]]:
    """The instrument's class probabilities of each distinct text, shape (3,)."""
    distinct = list(dict.fromkeys(texts))
    if not distinct:
        return {}
    scores = instrument.expression.predict(distinct)
    check_scores(scores, distinct, instrument.name)
    return dict(zip(distinct, scores, strict=True))


def spearman(left: NDArray[np.float64], right: NDArray[np.float64]) -> float | None:
    """Spearman's rank correlation with mid-ranks; ``None`` if either side is constant."""
    import numpy as np
    from scipy import stats

    if len(left) < 3 or len(set(left.tolist())) < 2 or len(set(right.tolist())) < 2:
        return None
    return float(np.corrcoef(stats.rankdata(left), stats.rankdata(right))[0, 1])


def cohen_kappa(left: NDArray[np.generic], right: NDArray[np.generic]) -> float | None:
    """Cohen's kappa (1960) of two decisions; ``None`` if only one category is ever used."""
    import numpy as np

    if not len(left):
        return None
    values = set(left.tolist()) | set(right.tolist())
    expected = sum(float(np.mean(left == v) * np.mean(right == v)) for v in values)
    observed = float(np.mean(left == right))
    return (observed - expected) / (1 - expected) if len(values) > 1 else None


def label(key: Key, answers: Answers) -> Labelling:
    """Compare the majority's labels with the dataset's; sentences with a tie are omitted."""
    winners = majority({item.id: answers.of("label", item.id) for item in key.items}).winners
    items = [item for item in key.items if item.id in winners]
    people = [winners[item.id] for item in items]
    given = [item.condition for item in items]
    near = clusters_of(items)
    return Labelling(
        items=len(items),
        accuracy=mean([float(a == b) for a, b in zip(people, given, strict=True)], near),
        kappa=_kappa(people, given, near),
        differing=tuple(
            (item.id, item.test, item.condition, winner)
            for item, winner in zip(items, people, strict=True)
            if item.condition != winner
        ),
    )


def _kappa(
    left: Sequence[float] | Sequence[str], right: Sequence[float] | Sequence[str], near: Clusters
) -> Estimate:
    import numpy as np

    a, b = np.array(left), np.array(right)
    return jackknife(lambda rows: cohen_kappa(a[rows], b[rows]), near)


def _correlation(d: Sequence[float], shares: Sequence[float], near: Clusters) -> Estimate:
    import numpy as np

    a, b = np.array(d, dtype=float), np.array(shares, dtype=float)
    return jackknife(lambda rows: spearman(a[rows], b[rows]), near, correlation=True)


def _influence(key: Key, answers: Answers) -> dict[str, Estimate]:
    winners = majority({item.id: answers.of("influence", item.id) for item in key.items}).winners
    result = {}
    for name in reversed(CLASSES):
        items = [item for item in key.items if item.condition == name and item.id in winners]
        if items:
            seen = [float(winners[item.id] == "yes") for item in items]
            result[name] = mean(seen, clusters_of(items))
    return result
