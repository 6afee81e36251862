"""Self-check: whether the instrument measures known leakage correctly on this machine.

    >>> from exleak.selfcheck import selfcheck
    >>> selfcheck("embedded").problems  # doctest: +SKIP
    ()

First the expression scorer classifies sentences of known mood; if it confuses moods, the check
ends. Then every reference model is measured without a store, and its rates are compared with those
of the grammar that it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exleak.records import CLASSES, Measurement, Rate

if TYPE_CHECKING:
    from exleak.reference.truth import Floats, Pools
    from exleak.scoring import Instrument

#: Minimum recall of each mood by an expression scorer.
MIN_RECALL = 0.5
#: Family-wise error rate of all comparisons: share of correct instruments that are rejected.
FALSE_ALARMS = 0.01
#: Largest deviation of a trained model from its grammar (the cards of the reference models).
MODEL_ERROR = 0.01
#: Number of sentences per control and mood for computing the true rates under a scorer.
_PER_MOOD = 10
_COMPARISONS = 32


@dataclass(frozen=True)
class Check:
    """Comparison of one measured rate with the true one.

    Attributes:
        model: The reference model.
        name: ``"rate"`` (the paper's), ``"superiority"``, ``"directional"`` or
            ``"residual_directional"``.
        measured: The measured rate.
        true: The grammar's rate under this instrument.
        agrees: Whether the difference is within the error of chance and model.
    """

    model: str
    name: str
    measured: Rate
    true: float
    agrees: bool


@dataclass(frozen=True)
class Selfcheck:
    """The result of a self-check, which is passed if ``problems`` is empty.

    Attributes:
        instrument: Name of the instrument.
        recalls: Recall of negative, neutral and positive sentences.
        checks: All comparisons; none if the scorer failed before.
        problems: Descriptions of the problems.
    """

    instrument: str
    recalls: tuple[float, ...]
    checks: tuple[Check, ...]
    problems: tuple[str, ...]


def selfcheck(
    instrument: str | Instrument = "embedded",
    *,
    device: str | None = None,
    dtype: str | None = None,
    seed: int = 0,
    progress: Callable[[str], None] | None = None,
) -> Selfcheck:
    """Measure models with known leakage and compare the rates.

    Args:
        instrument: A name as for :func:`exleak.load_instrument`, or a loaded instrument.
        device, dtype: Device and type of the reference models, as for :func:`exleak.load_model`.
        seed: Seed of the continuations.
        progress: Callback, called with the name of each step.

    Returns:
        The result.

    Raises:
        ExleakError: The instrument cannot be loaded, or gives invalid scores.
    """
    from exleak.reference import names
    from exleak.reference.members import member
    from exleak.reference.truth import scored_pools
    from exleak.scoring import load_instrument

    tell = progress or (lambda text: None)
    tool = load_instrument(instrument) if isinstance(instrument, str) else instrument
    tell("sentences of known mood")
    pools = scored_pools(tool.expression, _PER_MOOD)
    restating = scored_pools(tool.expression, _PER_MOOD, restating=True)
    recalls, problem = recognised(pools.plain)
    if problem:
        return Selfcheck(tool.name, recalls, (), (problem,))
    checks: list[Check] = []
    problems: list[str] = []
    for name in names():
        tell(name)
        measurement = _measure(name, tool, device, dtype, seed)
        known = restating if member(name).restates else pools
        compared = compare(measurement, _truth(name, tool.expression.hash, known))
        checks += compared
        problems += [_disagreement(check) for check in compared if not check.agrees]
        problems += _behaviour(name, measurement)
    return Selfcheck(tool.name, recalls, tuple(checks), tuple(problems))


def recognised(pools: Floats) -> tuple[tuple[float, ...], str | None]:
    """Recall of each mood, and a description of the problem if the scorer confuses them.

    Args:
        pools: Class probabilities by control, mood and sentence, shape (controls, 3, n, 3).
    """
    picked = pools.argmax(axis=-1)
    shares = [[float((picked[:, mood] == c).mean()) for c in range(3)] for mood in range(3)]
    recalls = tuple(shares[mood][mood] for mood in range(3))
    if min(recalls) >= MIN_RECALL:
        return recalls, None
    said = [sum(row[c] for row in shares) / 3 for c in range(3)]
    stated = ", ".join(f"{name} {value:.0%}" for name, value in zip(CLASSES, recalls, strict=True))
    reason = "it confuses moods"
    if max(said) > 0.9:
        reason = f"it says {CLASSES[said.index(max(said))]} whatever it reads"
    elif shares[0][2] + shares[2][0] > shares[0][0] + shares[2][2] + 0.5:
        reason = "its positive and negative labels are swapped"
    elif max(map(max, shares)) < MIN_RECALL:
        reason = "its answers have nothing to do with the text"
    return recalls, (
        f"the expression scorer does not recognise moods: {reason} (recall of {stated}; each must "
        f"be at least {MIN_RECALL:.0%})"
    )


def _measure(
    name: str, tool: Instrument, device: str | None, dtype: str | None, seed: int
) -> Measurement:
    from exleak.generation.sampling import Sampling
    from exleak.measurement import measure

    return measure(
        name,
        instrument=tool,
        sampling=Sampling(seed=seed),
        device=device,
        dtype=dtype,
        store=None,
    )


def _truth(name: str, instrument: str, pools: Pools) -> dict[str, float]:
    """The grammar's rates under this instrument: those of the card, or computed here."""
    from exleak import reference
    from exleak.reference.truth import true_rates

    if reference.instrument_hash(name) == instrument:
        return reference.true_rates(name)
    return true_rates(name, pools, repeats=500).as_dict()


def compare(found: Measurement, truth: dict[str, float]) -> list[Check]:
    """Compare each measured rate with the true one."""
    shown = {
        "rate": found.expression,
        "superiority": found.expression.superiority,
        "directional": found.expression.directional,
    }
    residual = found.expression.residual
    if residual is not None:
        shown["residual_directional"] = residual.directional
    return [
        Check(found.model, name, _plain(rate), truth[name], _agrees(rate, truth[name]))
        for name, rate in shown.items()
    ]


def _plain(rate: Any) -> Rate:
    return Rate(rate.rate, rate.n, rate.interval, rate.bounds, rate.p_value, rate.ties,
                rate.standard_error)  # fmt: skip


def _agrees(rate: Any, true: float) -> bool:
    """Two-sided test, with Bonferroni's correction for all comparisons of a self-check."""
    from exleak.rates import quantile

    if rate.rate is None or not rate.standard_error:
        return False
    level = FALSE_ALARMS / _COMPARISONS
    allowed = (
        quantile(1 - level / 2, max(1, rate.n - 1 if rate.n < 60 else 59)) * rate.standard_error
        + MODEL_ERROR
    )
    return bool(math.fabs(rate.rate - true) <= allowed)


def _disagreement(check: Check) -> str:
    measured = "undefined" if check.measured.rate is None else f"{check.measured.rate:.3f}"
    return (
        f"{check.model}: the {check.name} is {measured}, its grammar's is {check.true:.3f}: more "
        "than chance explains, so generation or scoring is wrong here"
    )


def _significant(rate: Rate) -> bool:
    return rate.p_value is not None and rate.p_value < FALSE_ALARMS / 6


def _behaviour(name: str, found: Measurement) -> list[str]:
    """Problems with detecting each model's kind of leakage, which must work with any instrument."""
    directional, conditions = found.expression.directional, found.expression.by_condition
    leaks = _significant(directional)
    problems = []
    quiet = ("reference-clean", "reference-dispersed")
    if leaks != (name not in quiet):
        seen = "leaks" if leaks else "does not leak"
        problems.append(f"{name}: seen as a model that {seen} (directional {directional.rate})")
    residual = found.expression.residual
    remains = residual is not None and _significant(residual.directional)
    if remains != (name not in (*quiet, "reference-echo")):
        problems.append(f"{name}: mood and restatements are not told apart")
    if name == "reference-echo" and not any("content carry-over" in n for n in found.notes):
        problems.append(f"{name}: its restatements are not seen")
    if name == "reference-negative" and (
        _significant(conditions["positive"]) or not _significant(conditions["negative"])
    ):
        problems.append(f"{name}: only negative sentences leak, but that is not seen")
    if name == "reference-dispersed" and not any("non-specific" in n for n in found.notes):
        problems.append(f"{name}: its shift is not seen as non-specific")
    return problems
