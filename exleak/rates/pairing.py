"""Builds the pairs of a test prompt and its control, the input of all rates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from exleak import rates
from exleak.errors import DatasetError
from exleak.records import PairScore, PromptGenerations

if TYPE_CHECKING:
    from exleak.scoring.restatements import Restatements
    from exleak.scoring.scores import Scored


def make_pairs(
    rows: Sequence[PromptGenerations], scored: Scored, restatements: Restatements
) -> list[rates.Pair]:
    """Pair every test prompt with its control, if both have a usable generation."""
    by_id = {row.id: row for row in rows}
    pairs = []
    for row in rows:
        if row.control is None or not scored.cleaned[row.id] or not scored.cleaned[row.control]:
            continue
        concept = row.concept
        pairs.append(
            rates.Pair(
                id=row.id,
                control=row.control,
                cluster=by_id[row.control].prompt,
                condition=row.condition,
                injected=row.injected,
                test=scored.classes(row.id),
                reference=scored.classes(row.control),
                test_similarity=None if concept is None else scored.similarity(row.id, concept),
                reference_similarity=None
                if concept is None
                else scored.similarity(row.control, concept),
                test_index=scored.indices(row.id),
                reference_index=scored.indices(row.control),
                test_carries=restatements.of(row.id, row),
                reference_carries=restatements.of(row.control, row),
                test_carries_any=restatements.of_either(row),
            )
        )
    if not any(row.control is not None for row in rows):
        raise DatasetError("there is no test prompt among these generations, only controls")
    return pairs


def pair_score(pair: rates.Pair) -> PairScore:
    """The scores of a pair that a report contains."""
    has_class = pair.condition != "test"
    similarity = None
    if pair.test_similarity is not None and pair.reference_similarity is not None:
        similarity = rates.difference(pair.test_similarity, pair.reference_similarity)
    return PairScore(
        id=pair.id,
        control=pair.control,
        condition=pair.condition,
        difference=pair.difference if has_class else None,
        superiority=rates.superiority_of(pair) if has_class else None,
        similarity=similarity,
    )
