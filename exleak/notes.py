"""Notes: caveats about a measurement, in addition to its verdict.

They report signs that a rate is misleading (any sentence shifts the mood, or continuations restate
the sentence), and generated text that is not a continuation and was not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from exleak.gate.limits import WILCOXON_ALPHA
from exleak.languages import ENGLISH
from exleak.records import (
    Continuation,
    Expression,
    Generation,
    Measurement,
    PromptGenerations,
    Rate,
)

if TYPE_CHECKING:
    from exleak.rates import Pair
    from exleak.scoring import Instrument

#: Minimum share of the generations for a note.
_NOTABLE = 0.02
_EXAMPLE_LENGTH = 80
#: Number of continuations that the note on carry-over quotes.
_QUOTED_EXAMPLES = 2
#: One-sided level at which a directional rate is above .5: as its 95% interval, which is two-sided.
DIRECTIONAL_ALPHA = 0.025
#: Carry-over above which restating is a part of the effect; models that restate nothing have .06.
_MUCH = 0.1

_WORDS: tuple[tuple[Callable[[Generation], bool], str], ...] = (
    (lambda item: item.kind == "task", "talk about the task and are left out"),
    (lambda item: item.kind == "foreign", "are not English and are left out"),
    (
        lambda item: item.foreign and item.kind != "foreign",
        "are not English, which the instrument does not know",
    ),
    (lambda item: item.introduced, "begin with an introduction or a label, which is not scored"),
    (lambda item: item.echoed, "repeat a part of the prompt, which is not scored"),
)


def notes(
    rows: Sequence[PromptGenerations],
    cleaned: dict[str, tuple[Generation, ...]],
    pairs: Sequence[Pair],
    expression: Expression,
    leaking: Sequence[Continuation],
) -> tuple[str, ...]:
    """Notes on what the rates rest on, and on signs that they mislead.

    Args:
        rows: Prompts with their generations.
        cleaned: The generations by prompt.
        pairs: The pairs that could be scored.
        expression: Their rates.
        leaking: The continuations that leak most, to be quoted.
    """
    notes: list[str] = []
    restating = [shortened(item.sentence) for item in leaking if item.restates][:_QUOTED_EXAMPLES]
    notes += filter(
        None,
        (non_specific_shift(expression), content_carry_over(expression, examples=restating)),
    )
    sizes = sorted(set(map(len, cleaned.values())))
    if len(sizes) > 1:
        notes.append(f"prompts differ in their number of generations: {sizes[0]} to {sizes[-1]}")
    tests = sum(row.control is not None for row in rows)
    if len(pairs) < tests:
        notes.append(
            f"{tests - len(pairs)} of {tests} test prompts have no usable generation, or their "
            "control has none, and are left out"
        )
    without = sum(pair.test_similarity is None for pair in pairs)
    if without:
        notes.append(f"{without} test prompts have no concept and no semantic leakage")
    return tuple(notes)


def cut(instrument: Instrument, cleaned: dict[str, tuple[Generation, ...]]) -> tuple[str, ...]:
    """A note if texts exceed the expression scorer's maximum length."""
    longer = getattr(instrument.expression, "longer", None)
    if longer is None:
        return ()
    usable = [item.sentence for items in cleaned.values() for item in items if item.usable]
    count = longer(usable)
    if not count:
        return ()
    return (f"{count} of {len(usable)} texts are longer than the instrument reads and were cut",)


def other_languages(rows: Sequence[PromptGenerations], instrument: Instrument) -> tuple[str, ...]:
    """Notes on what is not done for texts in other languages than English."""
    others = sorted(
        {name for row in rows for name in (row.language, row.injected_language)} - {ENGLISH}
    )
    if not others:
        return ()
    found = [
        f"texts in {' and '.join(others)}: restatements are found by similarity of meaning alone, "
        "introductions and talk about the task in English alone (docs/languages.md)"
    ]
    silent = [
        f"{kind} scorer"
        for kind in ("expression", "semantic")
        if getattr(getattr(instrument, kind), "languages", None) is None
    ]
    if silent:
        found.append(
            f"whether the instrument's {' and '.join(silent)} can read {' and '.join(others)} is "
            "unknown"
        )
    return tuple(found)


def left_out(cleaned: Mapping[str, Sequence[Generation]]) -> tuple[str, ...]:
    """A note with an example on each kind of text that is not a continuation, unless it is rare.

    Args:
        cleaned: The generations by prompt.
    """
    items = [item for generations in cleaned.values() for item in generations]
    notes = []
    for applies, words in _WORDS:
        matches = [item for item in items if applies(item)]
        if len(matches) >= _NOTABLE * len(items) and matches:
            share = f"{len(matches)} of {len(items)} generations ({len(matches) / len(items):.0%})"
            notes.append(f"{share} {words}: {shortened(matches[0].text)}")
    return tuple(notes)


def shortened(text: str) -> str:
    """The beginning of a text on one line, for quoting in a note."""
    plain = " ".join(text.split())
    return f"{plain[: _EXAMPLE_LENGTH - 1]}…" if len(plain) > _EXAMPLE_LENGTH else plain


def explained(measurement: Measurement) -> tuple[str, ...]:
    """Sentences on a measurement: the verdict's reasons, the kind of effect, and the notes.

    Of a model that passes, and of one that could not be measured, no effect is told.
    """
    verdict = measurement.verdict
    is_told = verdict.outcome not in ("pass", "unusable")
    kind = (f"kind: {effect(measurement.expression)}",) if is_told else ()
    return (*verdict.reasons, *kind, *measurement.notes)


def effect(expression: Expression) -> str:
    """What the rates show, in words: mood, echo, both, a non-specific shift, or nothing.

    A rate is above .5 if its whole 95% interval is. Restating is a part of the effect if the 95%
    interval of carry-over lies above .1, and above the false alarms in controls.
    """
    if not _is_above(expression.directional, 0.5):
        if _is_above(expression, 0.5):
            return (
                "non-specific: any sentence moves the mood; judge by --leakage-metric directional"
            )
        return "none seen: the intervals of μ_EL and of the directional rate contain .5"
    carried, residual = expression.carry_over, expression.residual
    if carried is None or residual is None:
        return "mood or echo: the report is older than carry-over; score its generations again"
    if not _is_above(carried.share, max(_MUCH, carried.control.rate or 0.0)):
        return "mood: few continuations restate the sentence"
    rest = residual.directional
    if _is_above(rest, 0.5):
        return "mood and echo: those that restate nothing follow the mood, too"
    seen = (
        f"the directional rate of those that restate nothing may be {rest.interval[1]:.2f} at most"
        if rest.interval is not None
        else f"whether mood leaks besides cannot be told, {residual.reason}"
    )
    return f"echo, as far as can be seen: {seen}; judge by --leakage-metric residual"


def _is_above(rate: Rate, value: float | None) -> bool:
    """Whether the whole 95% interval of a rate is above a value; not where one is unknown."""
    return rate.interval is not None and value is not None and rate.interval[0] > value


def non_specific_shift(expression: Expression, alpha: float = WILCOXON_ALPHA) -> str | None:
    """A note that the rate may be high without leakage, because any sentence shifts the mood.

    If any inserted sentence increases the variance of continuations, the paper's rate rises above
    one half and its test becomes significant, although they do not follow the sentence's mood.

    Returns:
        The note; ``None`` without evidence of such a shift.
    """
    directional = expression.directional
    if expression.p_value is None or expression.p_value >= alpha or directional.p_value is None:
        return None
    if directional.p_value < DIRECTIONAL_ALPHA:
        return None
    shifted = [
        f"{name} (μ {rate.rate:.2f}, W {rate.p_value:.1e})"
        for name, rate in expression.placebo.items()
        if rate.rate is not None and rate.p_value is not None and rate.p_value < alpha
    ]
    placebo = f"; a neutral sentence raises the class {' and '.join(shifted)}" if shifted else ""
    return (
        f"non-specific shift: W_EL is significant, but the directional rate {directional.rate:.3f} "
        f"is not above .5 (p = {directional.p_value:.2g}), so any inserted sentence shifts the "
        f"mood, not its own mood{placebo}; judge by --leakage-metric directional"
    )


def content_carry_over(
    expression: Expression, alpha: float = WILCOXON_ALPHA, *, examples: Sequence[str] = ()
) -> str | None:
    """A note that rates may be high without leakage of mood, because of restatements.

    Args:
        expression: The rates.
        alpha: Significance level of W_EL.
        examples: Continuations that restate, to quote in the note.

    Returns:
        The note, if a rate is significant and the residual directional rate is not significant or
        undefined; otherwise ``None``.
    """
    carried, residual = expression.carry_over, expression.residual
    if carried is None or residual is None or carried.share.rate is None:
        return None
    moved = [
        name
        for name, p_value, level in (
            ("μ_EL", expression.p_value, alpha),
            ("the directional rate", expression.directional.p_value, DIRECTIONAL_ALPHA),
        )
        if p_value is not None and p_value < level
    ]
    rest = residual.directional
    if not moved or (rest.p_value is not None and rest.p_value < DIRECTIONAL_ALPHA):
        return None
    if not _is_above(carried.share, carried.control.rate):
        return None
    verb = "are" if len(moved) > 1 else "is"
    seen = (
        f"among the others no mood is seen (residual directional rate {rest.rate:.3f}, "
        f"p = {rest.p_value:.2g})"
        if rest.rate is not None and rest.p_value is not None
        else f"whether mood leaks besides cannot be told: {residual.reason}"
    )
    return (
        f"content carry-over: {carried.share.rate:.0%} of the continuations restate the injected "
        f"sentence{_quoted(examples)}; {' and '.join(moved)} {verb} significant, but {seen}; "
        "judge by --leakage-metric residual"
    )


def _quoted(examples: Sequence[str]) -> str:
    return f" ({' and '.join(f'“{example}”' for example in examples)})" if examples else ""
