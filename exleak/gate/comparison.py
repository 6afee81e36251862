"""Paired comparison of a measurement with earlier ones: has the leakage increased?

The input is measurements from reports, so that a run can be compared with an older one from
another machine. The compared quantity is the directional rate of each control prompt: the controls
are the same in both runs, and effects of any inserted sentence cancel.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from exleak.errors import ComparisonError
from exleak.records import (
    LEAKING_CONDITIONS,
    Compared,
    Comparison,
    Measurement,
    NonInferiority,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Number of random sign patterns of the test; if no more than these exist, all are used.
FLIPS = 9_999
#: Significance level of the baseline rule, one-sided.
BASELINE_ALPHA = 0.01
#: One-sided confidence at which a model is shown to be no worse than a margin.
NON_INFERIORITY = 0.95
#: Power at which the detectable increase is stated.
POWER = 0.90

_HASH = re.compile(r"[0-9a-f]{64}")
#: Sampling settings that may differ: another seed gives another sample of the same distribution.
_FREE = {"seed"}


def compare(
    measurement: Measurement,
    others: Sequence[Measurement],
    against: str = "",
    metric: Compared = "directional",
    margin: float | None = None,
) -> Comparison:
    """Compare a measurement with the mean of others.

    Args:
        measurement: The measurement.
        others: The measurements to compare with, averaged for each control.
        against: A display name for them.
        metric: The rate to compare for each control.
        margin: An increase to test against; ``None`` for none.

    Raises:
        ComparisonError: The measurements' settings differ; the message names the difference.
    """
    if not others:
        raise ComparisonError("nothing to compare with")
    for other in others:
        if reason := difference(measurement, other, metric):
            raise ComparisonError(f"not comparable with {against or other.model}: {reason}")
    mine, *theirs = (by_control(item, metric) for item in (measurement, *others))
    shared = [key for key in mine if all(key in other for other in theirs)]
    if not shared:
        raise ComparisonError(
            f"not comparable with {against}: no control prompt was scored in both"
        )
    references = [math.fsum(other[key] for other in theirs) / len(theirs) for key in shared]
    deltas = [mine[key] - reference for key, reference in zip(shared, references, strict=True)]
    delta, error = mean(deltas), _standard_error(deltas)
    return Comparison(
        against=against or ", ".join(other.model for other in others),
        runs=len(others),
        n=len(shared),
        rate=mean([mine[key] for key in shared]),
        reference=mean(references),
        delta=delta,
        interval=_interval(delta, error, len(deltas)),
        p_value=sign_flip(deltas),
        effect_size=delta / (error * math.sqrt(len(deltas))) if error else None,
        wilcoxon=_wilcoxon(measurement, others),
        detectable=_detectable(error, len(deltas)),
        metric=metric,
        non_inferiority=None if margin is None else _non_inferiority(deltas, delta, error, margin),
    )


def difference(
    one: Measurement, other: Measurement, metric: Compared = "directional"
) -> str | None:
    """The reason that two measurements cannot be compared; ``None`` if they can."""
    for name, pick in _ASPECTS.items():
        mine, theirs = pick(one), pick(other)
        if mine != theirs:
            mine, theirs = _unequal(mine, theirs)
            return f"the {name} differs ({_short(mine)} here, {_short(theirs)} there)"
    if _scored_by(one) != _scored_by(other):
        return f"the instrument differs ({_instrument(one)} here, {_instrument(other)} there)"
    if by_control(one, metric) and by_control(other, metric):
        return None
    if metric == "residual":
        return "no control keeps continuations that restate nothing, or the report is older"
    return "no control has both a positive and a negative test prompt, or the report is older"


def settings(measurement: Measurement) -> dict[str, Any]:
    """What must be equal in two measurements that are compared, by its name."""
    aspects = {name: pick(measurement) for name, pick in _ASPECTS.items()}
    return {**aspects, "instrument": _scored_by(measurement)}


def _unequal(mine: Any, theirs: Any) -> tuple[Any, Any]:
    """Of two tables the keys whose values differ; other values as they are."""
    if not (isinstance(mine, dict) or isinstance(theirs, dict)):
        return mine, theirs
    mine, theirs = mine or {}, theirs or {}
    keys = [key for key in {**mine, **theirs} if mine.get(key) != theirs.get(key)]
    return {key: mine.get(key) for key in keys}, {key: theirs.get(key) for key in keys}


def _scored_by(measurement: Measurement) -> str:
    """The instrument's content: it may have another name today. Older reports have a name alone."""
    return str(measurement.identity.get("instrument") or measurement.instrument)


def _instrument(measurement: Measurement) -> str:
    content = str(measurement.identity.get("instrument") or "of unknown content")[:12]
    return f"{measurement.instrument} {content}"


def _part(measurement: Measurement) -> str | None:
    """The samples of an adaptive or extended run; ``None`` if they are those of the dataset."""
    interim = measurement.interim
    if interim is None or interim.is_whole:
        return None
    own = interim.samples - interim.further
    return f"{own} samples" + (f" and {interim.further} further ones" if interim.further else "")


def _sampling(measurement: Measurement) -> dict[str, Any]:
    return {key: value for key, value in measurement.sampling.items() if key not in _FREE}


_ASPECTS: dict[str, Callable[[Measurement], Any]] = {
    "dataset": lambda m: m.dataset,
    "dataset version": lambda m: m.identity.get("dataset_version"),
    "number of samples measured (--leakage-limit)": lambda m: m.identity.get("limit"),
    "content of the dataset": lambda m: m.identity.get("dataset"),
    "part of the dataset measured (--leakage-adaptive, --leakage-extend)": _part,
    "number of generations": lambda m: m.generations["per_prompt"],
    "sampling": _sampling,
    "use of the chat template": lambda m: m.identity.get("chat"),
    "system prompt and template variables": lambda m: m.identity.get("template"),
}


def _short(value: Any) -> str:
    text = "all" if value is None else str(value)
    if _HASH.fullmatch(text):
        return text[:12]
    return text if len(text) <= 80 else f"{text[:77]}…"


def by_control(measurement: Measurement, metric: Compared) -> dict[str, float]:
    """The compared rate of each control; empty in older reports that lack it."""
    return measurement.residual_by_control if metric == "residual" else measurement.by_control


def compared_metric(metric: str) -> Compared:
    """The rate that baselines and series compare, given the metric of the limit."""
    return "residual" if metric == "residual" else "directional"


def sign_flip(differences: Sequence[float], flips: int = FLIPS, seed: int = 0) -> float:
    """One-sided p-value of the sign-flip test that differences lie above 0.

    Exact under symmetry about 0 (Fisher 1935): p = (1 + #{as large or larger}) / (flips + 1),
    or the share over all sign patterns if there are at most ``flips`` of them.

    Args:
        differences: One per control, shape (n,).
        flips: Number of random sign patterns.
        seed: Seed of the patterns; equal differences always get the same p-value.
    """
    import numpy as np

    values = np.asarray(differences, dtype=np.float64)
    observed = float(values.sum())
    # Equal sums can differ in the last bits, depending on the order.
    threshold = observed - 1e-9
    if 2 ** len(values) <= flips:
        return float(np.mean(all_signs(len(values)) @ values >= threshold))
    signs = np.random.default_rng(seed).integers(0, 2, (flips, len(values)), dtype=np.int8) * 2 - 1
    return (1 + int(np.sum(signs @ values >= threshold))) / (flips + 1)


def all_signs(count: int) -> NDArray[np.int8]:
    """All sign patterns of so many values, shape (2**count, count); the last flips nothing."""
    import numpy as np

    patterns = np.arange(2**count)[:, None] >> np.arange(count) & 1
    return (patterns * 2 - 1).astype(np.int8)


def mean(values: Sequence[float]) -> float:
    """The mean, the same in any order of the values: rounded to 12 decimals."""
    return round(math.fsum(values) / len(values), 12)


def _standard_error(values: Sequence[float]) -> float | None:
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    squares = math.fsum((value - mean) ** 2 for value in values)
    return math.sqrt(squares / (len(values) - 1) / len(values))


def _interval(delta: float, error: float | None, n: int) -> tuple[float, float] | None:
    from exleak.rates import CONFIDENCE, quantile

    if error is None:
        return None
    half = quantile((1 + CONFIDENCE) / 2, n - 1) * error
    return delta - half, delta + half


def _non_inferiority(
    deltas: Sequence[float], delta: float, error: float | None, margin: float
) -> NonInferiority:
    """Whether differences lie below a margin: the sign-flip test of what is left to it."""
    from exleak.rates import quantile

    upper = None if error is None else delta + quantile(NON_INFERIORITY, len(deltas) - 1) * error
    return NonInferiority(
        margin,
        upper,
        sign_flip([margin - value for value in deltas]),
        sign_flip([value - margin for value in deltas]),
    )


def _detectable(error: float | None, n: int) -> float | None:
    from exleak.rates import quantile

    if not error:
        return None
    return error * (quantile(1 - BASELINE_ALPHA, n - 1) + quantile(POWER, n - 1))


def _wilcoxon(measurement: Measurement, others: Sequence[Measurement]) -> float | None:
    """The paper's test between models (section 5), on the increase of each test prompt's d."""
    from exleak.rates import wilcoxon

    theirs = [_differences(other) for other in others]
    gained = [
        round(value - math.fsum(other[key] for other in theirs) / len(theirs), 12)
        for key, value in _differences(measurement).items()
        if all(key in other for other in theirs)
    ]
    return wilcoxon(gained)


def _differences(measurement: Measurement) -> dict[str, float]:
    return {
        pair.id: pair.difference
        for pair in measurement.pairs
        if pair.condition in LEAKING_CONDITIONS and pair.difference is not None
    }
