"""Residual rates: leakage among the continuations that do not restate the injected sentence.

A continuation that restates the injected sentence has that sentence's mood, even if the model
does not leak expression. Residual rates exclude such continuations. The exclusion must not depend
on the arm that a continuation belongs to, or two equal arms would become unequal:

- directional rate: exclude in *both* arms what restates the positive *or* negative sentence;
- EL and superiority: exclude in the test *and* control prompt what restates the test's sentence.

EL compares means, whose variance depends on the number of continuations. Both sides of each pair
are therefore cut to the same number.

Source: docs/mood-or-echo.md of this project; the paper does not decompose its rates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from exleak.rates.expression import directional, directional_by_control, paired_rate, superiority
from exleak.rates.intervals import LEVEL
from exleak.rates.pairs import Pair
from exleak.records import LEAKING_CONDITIONS, Rate, Residual

if TYPE_CHECKING:
    from exleak.rates.pairs import Array, Flags

#: Minimum number of controls; with fewer, a residual rate is undefined.
MIN_CONTROLS = 10


def residual(pairs: Sequence[Pair], *, level: float = LEVEL) -> Residual:
    """Every residual rate of a measurement.

    Args:
        pairs: Its pairs; those whose injected sentence is unknown are left out.
        level: One-sided confidence of the bounds.
    """
    leaking = [p for p in pairs if p.condition in LEAKING_CONDITIONS]
    known = [p for p in leaking if p.test_carries is not None]
    nothing = Rate(None, 0)
    if not known:
        reason = "no injected sentence is known, so nothing can be told from a restatement"
        return Residual(nothing, nothing, nothing, 0, 0, None, reason)
    apart, compared = _without_either(known), _without_own(known)
    direct = directional(apart, level=level)
    enough = len({p.control for p in compared}) >= MIN_CONTROLS
    total = len({p.control for p in known})
    return Residual(
        rate=paired_rate([_equalised(p) for p in compared], level) if enough else nothing,
        superiority=superiority(compared, level) if enough else nothing,
        directional=direct if direct.n >= MIN_CONTROLS else nothing,
        controls=direct.n,
        of_controls=total,
        kept=sum(len(p.test) for p in apart) / sum(len(p.test) for p in known),
        reason=None if direct.n >= MIN_CONTROLS else _too_few(direct.n, total),
    )


def _too_few(controls: int, total: int) -> str:
    return (
        f"only {controls} of {total} control prompts keep continuations after both the positive "
        f"and the negative sentence; {MIN_CONTROLS} are needed"
    )


def residual_by_control(pairs: Sequence[Pair]) -> dict[str, float]:
    """Residual directional value of each control with continuations left in both arms."""
    known = [p for p in pairs if p.test_carries_any is not None]
    return directional_by_control(_without_either(known))


def _without_either(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs without test generations that restate the control's positive or negative sentence."""
    apart = []
    for pair in pairs:
        assert pair.test_carries_any is not None
        if len(test := pair.test[~pair.test_carries_any]):
            apart.append(replace(pair, test=test))
    return apart


def _without_own(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs without generations, on either side, that restate the test prompt's sentence."""
    apart = []
    for pair in pairs:
        test = _dropped(pair.test, pair.test_carries)
        reference = _dropped(pair.reference, pair.reference_carries)
        if len(test) and len(reference):
            apart.append(replace(pair, test=test, reference=reference))
    return apart


def _dropped(scores: Array, carries: Flags | None) -> Array:
    assert carries is not None
    kept: Array = scores[~carries]
    return kept


def _equalised(pair: Pair) -> Pair:
    """A pair cut to the same number of continuations on both sides, the first ones."""
    n = min(len(pair.test), len(pair.reference))
    return replace(pair, test=pair.test[:n], reference=pair.reference[:n])
