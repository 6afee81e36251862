"""Agreement among annotators: raw agreement and chance-corrected coefficients.

Ratings are counts, shape (items, categories): the number of annotators who gave each answer. No
statistic uses the annotators' identity, so annotators may change between items.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak.annotate.intervals import Clusters, Estimate, jackknife, mean

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]

#: Thresholds of the warning: raw agreement at or above the first, alpha below the second. Below
#: .667 Krippendorff (Content Analysis, 2004, page 241) rejects even tentative conclusions.
_HIGH_RAW, _LOW_ALPHA = 0.8, 0.667


@dataclass(frozen=True)
class Agreement:
    """Agreement on one question.

    Attributes:
        question: Name of the question.
        items: Number of items with two or more answers; only these are used.
        complete: Number of items that every annotator answered.
        answers: Number of answers in each category.
        raw: Mean over items of the share of annotator pairs that agree (Fleiss 1971).
        unanimous: Share of items without any disagreement.
        by_category: Specific agreement on each category, see :func:`specific`.
        by_condition: ``raw`` for each injected condition; empty without a key.
        fleiss: Fleiss' kappa over the complete items; it is undefined for missing answers.
        alpha: Krippendorff's nominal alpha over all items with two or more answers.
        warnings: Warnings about misleading numbers.
    """

    question: str
    items: int
    complete: int
    answers: dict[str, int]
    raw: Estimate
    unanimous: Estimate
    by_category: dict[str, Estimate]
    by_condition: dict[str, Estimate]
    fleiss: Estimate
    alpha: Estimate
    warnings: tuple[str, ...]


def count(ratings: Sequence[Sequence[str]], categories: Sequence[str]) -> Counts:
    """Counts of each category, shape (items, categories), from the answers of each item."""
    import numpy as np

    rows = [[answers.count(name) for name in categories] for answers in map(list, ratings)]
    return np.array(rows, dtype=np.int64).reshape(len(rows), len(categories))


def agreement(
    question: str,
    categories: Sequence[str],
    ratings: Sequence[Sequence[str]],
    clusters: Clusters,
    annotators: int,
    conditions: Sequence[str] | None = None,
) -> Agreement:
    """Compute all agreement statistics of one question.

    Args:
        question: Name of the question.
        categories: Its possible answers.
        ratings: The answers of each item, any number of them.
        clusters: The clusters of each item.
        annotators: Number of annotators; an item with as many answers is complete.
        conditions: The injected condition of each item, if the key is known.
    """
    import numpy as np

    every = count(ratings, categories)
    several = np.flatnonzero(every.sum(axis=1) >= 2)
    counts, near = every[several], clusters.take(several.tolist())
    agreeing = pairwise(counts)
    complete = np.flatnonzero((counts.sum(axis=1) == annotators) & (annotators >= 2))
    raw = mean(agreeing.tolist(), near)
    alpha = jackknife(lambda rows: krippendorff_alpha(counts[rows]), near)
    return Agreement(
        question=question,
        items=len(several),
        complete=len(complete),
        answers=dict(zip(categories, every.sum(axis=0).tolist(), strict=True)),
        raw=raw,
        unanimous=mean((agreeing == 1).astype(float).tolist(), near),
        by_category=_by_category(counts, categories, near),
        by_condition=_by_condition(agreeing, several.tolist(), conditions, near),
        fleiss=jackknife(
            lambda rows: fleiss_kappa(counts[complete[rows]]), near.take(complete.tolist())
        ),
        alpha=alpha,
        warnings=_warnings(raw, alpha, counts, categories),
    )


def pairwise(counts: Counts) -> NDArray[np.float64]:
    """Share of annotator pairs that agree, shape (items,); each item needs two answers."""
    total = counts.sum(axis=1)
    shares: NDArray[np.float64] = (counts * (counts - 1)).sum(axis=1) / (total * (total - 1))
    return shares


def specific(counts: Counts, category: int) -> float | None:
    """Specific agreement: the probability that another answer is in this category if one is.

    Fleiss 1971 for equal numbers of answers. With missing answers, each answer's partners are
    averaged first, so that it is the diagonal of Krippendorff's coincidences over its row.
    """
    total = counts.sum(axis=1)
    mine = counts[:, category]
    given = mine.sum()
    return float((mine * (mine - 1) / (total - 1)).sum() / given) if given else None


def krippendorff_alpha(counts: Counts) -> float | None:
    """Krippendorff's alpha for nominal data, with any number of answers per item.

    K. Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), section C: each item adds
    its pairs of answers to the coincidences, with weight 1 / (number of its answers - 1).

    Returns:
        Alpha; ``None`` if all answers are the same, or no item has two.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    answers = counts.sum(axis=1)
    by_category = counts.sum(axis=0)
    n = int(by_category.sum())
    expected = n * n - int((by_category**2).sum())
    if not expected:
        return None
    matches = (counts * (counts - 1)).sum(axis=1) / (answers - 1)
    observed = n - float(matches.sum())
    return 1 - (n - 1) * observed / expected


def fleiss_kappa(counts: Counts) -> float | None:
    """Fleiss' kappa: raw agreement beyond that expected from the answers' overall shares.

    J. L. Fleiss, Measuring nominal scale agreement among many raters (1971), equations 2 to 7.

    Args:
        counts: Counts with the same number of answers, at least two, in every row.

    Returns:
        Kappa; ``None`` if all answers are the same, or there are none.
    """
    if (counts.sum(axis=0) > 0).sum() < 2:
        return None
    by_chance = float(((counts.sum(axis=0) / counts.sum()) ** 2).sum())
    return float((pairwise(counts).mean() - by_chance) / (1 - by_chance))


def _by_category(
    counts: Counts, categories: Sequence[str], clusters: Clusters
) -> dict[str, Estimate]:
    estimates = {}
    for number, name in enumerate(categories):
        used = [i for i, given in enumerate(counts[:, number].tolist()) if given]
        estimates[name] = _specific(counts[used], number, clusters.take(used))
    return estimates


def _specific(counts: Counts, category: int, clusters: Clusters) -> Estimate:
    value = specific(counts, category)
    if value in (0.0, 1.0):
        return mean([value] * len(counts), clusters)
    return jackknife(lambda rows: specific(counts[rows], category), clusters, floor=0.0)


def _by_condition(
    agreeing: NDArray[np.float64],
    several: Sequence[int],
    conditions: Sequence[str] | None,
    clusters: Clusters,
) -> dict[str, Estimate]:
    if conditions is None:
        return {}
    mine = [conditions[i] for i in several]
    estimates = {}
    for name in sorted(set(mine)):
        rows = [i for i, condition in enumerate(mine) if condition == name]
        estimates[name] = mean(agreeing[rows].tolist(), clusters.take(rows))
    return estimates


def _warnings(
    raw: Estimate, alpha: Estimate, counts: Counts, categories: Sequence[str]
) -> tuple[str, ...]:
    """Warn if raw agreement is high only because nearly all answers are the same."""
    if raw.value is None or raw.value < _HIGH_RAW:
        return ()
    totals = counts.sum(axis=0)
    top = int(totals.argmax())
    share = float(totals[top] / totals.sum())
    common = f"{share:.0%} of the answers are {categories[top]!r}"
    if alpha.value is None:
        return (f"raw agreement is {raw.value:.2f}, but {common}: nothing shows it is not chance",)
    if alpha.value >= _LOW_ALPHA:
        return ()
    chance = float(((totals / totals.sum()) ** 2).sum())
    return (
        f"raw agreement of {raw.value:.2f} hides a low alpha of {alpha.value:.2f}: {common}, so "
        f"agreement by chance alone would be {chance:.2f}; report both",
    )
