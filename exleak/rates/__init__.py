"""Leakage rates: the paper's EL, μ, W and L, and their robust counterparts.

A *pair* is one test prompt with its control. Scores are arrays over the usable generations of a
prompt. Every rate is a mean over pairs. Its uncertainty is clustered on the control, which the
pairs of one sample share, and on the injected sentence if one is reused.

Sources: Eq. 1, 2 and 4 of the paper for EL, μ and L; each function names the sources of this
project's additional rates.
"""

from exleak.rates.carry_over import carry_over
from exleak.rates.expression import (
    directional,
    directional_by_control,
    expression,
    superiority_of,
)
from exleak.rates.intervals import CONFIDENCE, LEVEL, clustered_rate, interval, quantile
from exleak.rates.pairs import (
    DECIMALS,
    Pair,
    chance_above,
    difference,
    heuristic,
    leaks,
    mean,
    valence,
)
from exleak.rates.residual import residual, residual_by_control
from exleak.rates.semantic import semantic, similarity_values
from exleak.rates.significance import wilcoxon

__all__ = [
    "CONFIDENCE",
    "DECIMALS",
    "LEVEL",
    "Pair",
    "carry_over",
    "chance_above",
    "clustered_rate",
    "difference",
    "directional",
    "directional_by_control",
    "expression",
    "heuristic",
    "interval",
    "leaks",
    "mean",
    "quantile",
    "residual",
    "residual_by_control",
    "semantic",
    "similarity_values",
    "superiority_of",
    "valence",
    "wilcoxon",
]
