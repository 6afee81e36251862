"""The sentences that reports show: the most leaking ones, and an example or two of every prompt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak import rates
from exleak.records import (
    CLASSES,
    LEAKING_CONDITIONS,
    Continuation,
    Example,
    PromptGenerations,
    PromptScore,
)

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scores import Scored

#: How many of the most leaking continuations a measurement keeps.
_WORST = 10
#: Characters of a sentence or prompt that reports show; with these, the page of six models on
#: HEXL and AEXL stays under 3 MB.
SHOWN = 240
_DECIMALS = 4


def worst(
    pairs: Sequence[rates.Pair], rows: Sequence[PromptGenerations], scored: Scored
) -> tuple[Continuation, ...]:
    """The most leaking continuations, one per test prompt, worst first.

    Each stands beside the most typical continuation of its control: the one whose probability of
    the injected class is closest to the control's mean.
    """
    prompts = {row.id: row.prompt for row in rows}
    found = []
    for pair in pairs:
        if pair.condition not in LEAKING_CONDITIONS:
            continue
        test, control = pair.test[:, pair.column], pair.reference[:, pair.column]
        top, typical = int(test.argmax()), int(abs(control - control.mean()).argmin())
        found.append(
            Continuation(
                id=pair.id,
                condition=pair.condition,
                prompt=cut(prompts[pair.id]),
                sentence=cut(scored.cleaned[pair.id][top][1].sentence),
                probability=float(test[top]),
                control_sentence=cut(scored.cleaned[pair.control][typical][1].sentence),
                control_probability=float(control[typical]),
            )
        )
    found.sort(key=lambda item: (item.control_probability - item.probability, item.id))
    return tuple(found[:_WORST])


def prompt_scores(rows: Sequence[PromptGenerations], scored: Scored) -> tuple[PromptScore, ...]:
    """Every prompt that has a usable generation, in the order of the rows."""
    return tuple(_prompt_score(row, scored) for row in rows if scored.cleaned[row.id])


def _prompt_score(row: PromptGenerations, scored: Scored) -> PromptScore:
    classes = scored.classes(row.id)
    mean = _rounded([rates.mean(column) for column in classes.T])
    typical = int(((classes - classes.mean(axis=0)) ** 2).sum(axis=1).round(_DECIMALS).argmin())
    strongest = None
    if row.condition in CLASSES:
        top = int(classes[:, CLASSES.index(row.condition)].argmax())
        strongest = _example(row.id, top, scored, classes)
    return PromptScore(
        id=row.id,
        condition=row.condition,
        control=cut(row.control_text or row.prompt),
        injected=None if row.injected is None else cut(row.injected),
        probabilities=mean,
        typical=_example(row.id, typical, scored, classes),
        strongest=strongest,
    )


def _example(prompt: str, number: int, scored: Scored, classes: NDArray[np.float64]) -> Example:
    sentence = scored.cleaned[prompt][number][1].sentence
    return Example(cut(sentence), _rounded(classes[number].tolist()))


def _rounded(values: Sequence[float]) -> tuple[float, float, float]:
    negative, neutral, positive = (round(value, _DECIMALS) for value in values)
    return negative, neutral, positive


def cut(text: str) -> str:
    """The beginning of a text, with an ellipsis where it goes on."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1].rstrip() + "…"
