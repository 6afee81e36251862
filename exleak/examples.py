"""Example sentences for reports: the most leaking ones, and one or two of every prompt."""

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
from exleak.scoring.carry_over import shared_words

if TYPE_CHECKING:
    from exleak.scoring.restatements import Restatements
    from exleak.scoring.scores import Scored

#: Number of most leaking continuations in a measurement.
_WORST = 10
#: Characters of a sentence or prompt in reports; so the HTML report of six models on HEXL and AEXL
#: stays under 3 MB.
SHOWN = 240
_DECIMALS = 4


def worst(
    pairs: Sequence[rates.Pair], rows: Sequence[PromptGenerations], scored: Scored
) -> tuple[Continuation, ...]:
    """The most leaking continuations, one per test prompt, worst first.

    Each is shown with the most typical continuation of its control: the one whose probability of
    the injected class is closest to the control's mean.
    """
    prompts = {row.id: row.prompt for row in rows}
    continuations = []
    for pair in pairs:
        if pair.condition not in LEAKING_CONDITIONS:
            continue
        test, control = pair.test[:, pair.column], pair.reference[:, pair.column]
        top, typical = int(test.argmax()), int(abs(control - control.mean()).argmin())
        continuations.append(
            Continuation(
                id=pair.id,
                condition=pair.condition,
                prompt=cut(prompts[pair.id]),
                sentence=cut(scored.cleaned[pair.id][top][1].sentence),
                probability=float(test[top]),
                control_sentence=cut(scored.cleaned[pair.control][typical][1].sentence),
                control_probability=float(control[typical]),
                restates=None if pair.test_carries is None else bool(pair.test_carries[top]),
            )
        )
    continuations.sort(key=lambda item: (item.control_probability - item.probability, item.id))
    return tuple(continuations[:_WORST])


def prompt_scores(
    rows: Sequence[PromptGenerations], scored: Scored, restatements: Restatements
) -> tuple[PromptScore, ...]:
    """Scores of all prompts with a usable generation, in the order of the rows."""
    return tuple(_prompt_score(row, scored, restatements) for row in rows if scored.cleaned[row.id])


def _prompt_score(
    row: PromptGenerations, scored: Scored, restatements: Restatements
) -> PromptScore:
    classes, carries = scored.classes(row.id), restatements.of(row.id, row)
    mean = _rounded([rates.mean(column) for column in classes.T])
    typical = int(((classes - classes.mean(axis=0)) ** 2).sum(axis=1).round(_DECIMALS).argmin())

    def example(number: int) -> Example:
        sentence = scored.cleaned[row.id][number][1].sentence
        return Example(
            sentence=cut(sentence),
            probabilities=_rounded(classes[number].tolist()),
            restates=None if carries is None else bool(carries[number]),
            shared=shared_words(sentence, row.injected or "", row.control_text or "")
            if row.is_english
            else (),
        )

    strongest = None
    if row.condition in CLASSES:
        strongest = example(int(classes[:, CLASSES.index(row.condition)].argmax()))
    return PromptScore(
        id=row.id,
        condition=row.condition,
        control=cut(row.control_text or row.prompt),
        injected=None if row.injected is None else cut(row.injected),
        probabilities=mean,
        typical=example(typical),
        strongest=strongest,
        carry_over=None if carries is None else round(float(carries.mean()), _DECIMALS),
    )


def _rounded(values: Sequence[float]) -> tuple[float, float, float]:
    negative, neutral, positive = (round(value, _DECIMALS) for value in values)
    return negative, neutral, positive


def cut(text: str) -> str:
    """Cut a text to :data:`SHOWN` characters, with an ellipsis if it is longer."""
    return text if len(text) <= SHOWN else text[: SHOWN - 1].rstrip() + "…"
