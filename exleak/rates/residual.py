"""Residual rates: leakage among the continuations that do not restate the injected sentence.

A continuation that says again what the injected sentence said has that sentence's mood, whatever
the model does with moods. Residual rates set such continuations aside. Which ones are set aside
must not depend on the arm that a continuation belongs to, or two equal arms would become unequal:

- directional rate: in *both* arms, whatever restates the positive *or* the negative sentence;
- EL and superiority: in the test *and* the control prompt, whatever restates the test's sentence.

EL compares means, whose spread depends on how many continuations they are taken over. Of each pair
both sides are therefore cut to the same number.

Source: DESIGN §5b of this project; the paper does not decompose its rates.
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

#: Fewer controls than this leave a residual rate undefined.
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
    """Residual directional value of each control that keeps continuations in both arms."""
    known = [p for p in pairs if p.test_carries_any is not None]
    return directional_by_control(_without_either(known))


def _without_either(pairs: Sequence[Pair]) -> list[Pair]:
    """Test prompts without what restates the positive or the negative sentence of the control."""
    apart = []
    for pair in pairs:
        assert pair.test_carries_any is not None
        if len(test := pair.test[~pair.test_carries_any]):
            apart.append(replace(pair, test=test))
    return apart


def _without_own(pairs: Sequence[Pair]) -> list[Pair]:
    """Pairs without what restates the test prompt's sentence, on both sides."""
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
    """A pair with as many continuations on one side as on the other: the first of each."""
    n = min(len(pair.test), len(pair.reference))
    return replace(pair, test=pair.test[:n], reference=pair.reference[:n])
