"""Every continuation of a run with its scores, where reports only have means and examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exleak.records import Generation, PromptGenerations, Scores

if TYPE_CHECKING:
    from exleak.scoring.restatements import Restatements
    from exleak.scoring.scores import Scored


@dataclass(frozen=True)
class ScoredContinuation:
    """A continuation with its scores.

    Attributes:
        row: Its prompt.
        index: Its number among the continuations of the prompt, from 0.
        generation: Its text and first sentence.
        scores: The scores of the sentence; ``None`` if it is not usable. The similarity is that to
            the concept of its own prompt, which controls do not have.
        restates: Whether it restates the injected sentence of its prompt; ``None`` if that is
            unknown, or there is none.
    """

    row: PromptGenerations
    index: int
    generation: Generation
    scores: Scores | None
    restates: bool | None


def continuations(
    rows: Sequence[PromptGenerations],
    cleaned: dict[str, tuple[Generation, ...]],
    scored: Scored,
    restatements: Restatements,
) -> Iterator[ScoredContinuation]:
    """Every continuation, in the order of the rows.

    Args:
        rows: Prompts with their continuations and parts.
        cleaned: The cleaned continuations by prompt id.
        scored: The scores of the usable ones.
        restatements: Which of them restate an injected sentence.
    """
    for row in rows:
        places = {index: place for place, index in enumerate(scored.indices(row.id))}
        classes = scored.classes(row.id)
        has_concept = row.control is not None and row.concept is not None
        similar = scored.similarity(row.id, row.concept or "") if has_concept else None
        flags = restatements.of(row.id, row)
        for index, generation in enumerate(cleaned[row.id]):
            place = places.get(index)
            scores = restates = None
            if place is not None:
                negative, neutral, positive = map(float, classes[place])
                similarity = None if similar is None else float(similar[place])
                scores = Scores(negative, neutral, positive, similarity)
                restates = None if flags is None else bool(flags[place])
            yield ScoredContinuation(row, index, generation, scores, restates)
