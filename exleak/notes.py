"""Notes: what a reader must know of a measurement besides its verdict.

Signs that a rate is not what it seems (any sentence shifts the mood, the sentence is said again),
and what models wrote that is no continuation and was not scored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from exleak.gate.limits import WILCOXON_ALPHA
from exleak.records import Expression, Generation, Rate

#: A smaller share of the generations is not worth a note.
_NOTABLE = 0.02
_EXAMPLE = 80
#: Significance level of the directional rate, where it speaks for or against a specific shift.
DIRECTIONAL_ALPHA = 0.05

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


def left_out(cleaned: Mapping[str, Sequence[Generation]]) -> tuple[str, ...]:
    """A note on each kind of writing that is no continuation, unless it is rare, with an example.

    Args:
        cleaned: The generations by prompt.
    """
    items = [item for found in cleaned.values() for item in found]
    notes = []
    for applies, words in _WORDS:
        found = [item for item in items if applies(item)]
        if len(found) >= _NOTABLE * len(items) and found:
            share = f"{len(found)} of {len(items)} generations ({len(found) / len(items):.0%})"
            notes.append(f"{share} {words}: {shortened(found[0].text)}")
    return tuple(notes)


def shortened(text: str) -> str:
    """A text as a note quotes it: its beginning, in one line."""
    plain = " ".join(text.split())
    return f"{plain[: _EXAMPLE - 1]}…" if len(plain) > _EXAMPLE else plain


def non_specific_shift(expression: Expression, alpha: float = WILCOXON_ALPHA) -> str | None:
    """Why a rate may be high without leakage: any inserted sentence shifts the mood.

    If any sentence makes continuations more spread out, the paper's rate rises above one half
    and its test becomes significant, though nothing of the sentence's mood is in them.

    Returns:
        The reason in words; ``None`` where there is no sign of it.
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
    """Why rates may be high without a mood that leaks: the injected sentence is said again.

    Args:
        expression: The rates.
        alpha: Significance level of W_EL.
        examples: Continuations that restate, for the reason to quote.

    Returns:
        The reason in words, where a rate is significant and the residual directional rate is not
        or cannot be told; else ``None``.
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
    if not _above(carried.share, carried.control):
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


def _above(share: Rate, false_alarms: Rate) -> bool:
    """Whether restatements are more than the control continuations' false alarms."""
    if share.interval is None or false_alarms.rate is None:
        return False
    return share.interval[0] > false_alarms.rate
