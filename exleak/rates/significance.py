"""The paper's significance test."""

from __future__ import annotations

from collections.abc import Sequence


def wilcoxon(differences: Sequence[float]) -> float | None:
    """One-sided p-value of the Wilcoxon signed-rank test that differences lie above 0.

    ``scipy.stats.wilcoxon(d, alternative="greater")`` as in the paper; ``None`` if it is
    undefined: without differences, or if all of them are 0 (scipy then returns NaN or 1).
    """
    if not any(differences):
        return None
    from scipy import stats

    return float(stats.wilcoxon(list(differences), alternative="greater").pvalue)
