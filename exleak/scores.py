"""Scores of sentences, and the pairs of prompts they are compared in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from exleak import rates
from exleak.errors import DatasetError, InstrumentError
from exleak.records import (
    Generation,
    PairScore,
    PromptGenerations,
)
from exleak.store.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scoring import Instrument
    from exleak.store import Store


@dataclass(frozen=True)
class Scored:
    """Scores of the usable generations of every prompt.

    Attributes:
        cleaned: Usable generations by prompt id, with their indices.
        probabilities: Class probabilities of each sentence, three numbers.
        similarities: Cosine similarity of each (sentence, concept) that is compared.
    """

    cleaned: dict[str, list[tuple[int, Generation]]]
    probabilities: dict[str, list[float]]
    similarities: dict[tuple[str, str], float]

    def classes(self, prompt: str) -> NDArray[np.float64]:
        """Class probabilities of a prompt's usable generations, shape (K, 3)."""
        import numpy as np

        rows = [self.probabilities[item.sentence] for _, item in self.cleaned[prompt]]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def similarity(self, prompt: str, concept: str) -> NDArray[np.float64]:
        """Cosine similarity of a prompt's usable generations to a concept, shape (K,)."""
        import numpy as np

        found = [self.similarities[item.sentence, concept] for _, item in self.cleaned[prompt]]
        return np.array(found, dtype=np.float64)

    def indices(self, prompt: str) -> tuple[int, ...]:
        """Which generations of a prompt are usable."""
        return tuple(index for index, _ in self.cleaned[prompt])


def score_rows(
    rows: Sequence[PromptGenerations],
    cleaned: dict[str, tuple[Generation, ...]],
    instrument: Instrument,
    store: Store | None = None,
) -> Scored:
    """Score every distinct sentence once; what is stored is not scored again."""
    usable = {
        key: [(i, item) for i, item in enumerate(items) if item.usable]
        for key, items in cleaned.items()
    }
    sentences = list(dict.fromkeys(item.sentence for items in usable.values() for _, item in items))
    compared = list(
        dict.fromkeys(
            (item.sentence, row.concept)
            for row in rows
            if row.control is not None and row.concept is not None
            for prompt in (row.id, row.control)
            for _, item in usable[prompt]
        )
    )
    segments = store.scores(instrument.hash) if store else None
    known: dict[str, Any] = segments.read() if segments else {}
    fresh = _predict([s for s in sentences if _class_key(s) not in known], instrument)
    fresh |= _compare([pair for pair in compared if _pair_key(*pair) not in known], instrument)
    if segments and fresh:
        segments.append(fresh)
        segments.merge()
    known |= fresh
    return Scored(
        usable,
        {sentence: known[_class_key(sentence)] for sentence in sentences},
        {pair: known[_pair_key(*pair)] for pair in compared},
    )


def _class_key(sentence: str) -> str:
    return f"p:{digest(sentence)}"


def _pair_key(sentence: str, concept: str) -> str:
    return f"s:{digest(sentence)}:{digest(concept)}"


def _predict(sentences: list[str], instrument: Instrument) -> dict[str, Any]:
    if not sentences:
        return {}
    probabilities = instrument.expression.predict(sentences)
    check_scores(probabilities, sentences, instrument.name)
    return {
        _class_key(sentence): row
        for sentence, row in zip(sentences, probabilities.tolist(), strict=True)
    }


def _compare(pairs: list[tuple[str, str]], instrument: Instrument) -> dict[str, Any]:
    if not pairs:
        return {}
    texts = list(dict.fromkeys(text for pair in pairs for text in pair))
    vectors = dict(zip(texts, instrument.semantic.embed(texts), strict=True))
    return {_pair_key(a, b): float(vectors[a] @ vectors[b]) for a, b in pairs}


def check_scores(
    probabilities: NDArray[np.float64], sentences: Sequence[str], instrument: str
) -> None:
    """Refuse class probabilities that are none.

    Raises:
        InstrumentError: Wrong shape, not a number, or rows that do not sum to 1.
    """
    import numpy as np

    if probabilities.shape != (len(sentences), 3):
        raise InstrumentError(
            f"instrument {instrument}: {len(sentences)} texts gave scores of shape "
            f"{probabilities.shape}; (n, 3) is expected"
        )
    bad = ~(np.isfinite(probabilities).all(axis=1) & np.isclose(probabilities.sum(axis=1), 1))
    if bad.any():
        row = int(bad.argmax())
        raise InstrumentError(
            f"instrument {instrument}: {probabilities[row].tolist()} are no class probabilities, "
            f"for the text {sentences[row][:80]!r}"
        )


def make_pairs(rows: Sequence[PromptGenerations], scored: Scored) -> list[rates.Pair]:
    """Every test prompt with its control, where both have a usable generation."""
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
            )
        )
    if not any(row.control is not None for row in rows):
        raise DatasetError("there is no test prompt among these generations, only controls")
    return pairs


def pair_score(pair: rates.Pair) -> PairScore:
    """What a report keeps of a pair."""
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
