"""Scores of sentences: class probabilities, and similarities to other texts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass
from typing import TYPE_CHECKING, Any

from exleak.errors import InstrumentError
from exleak.progress import advance, phase, work_of
from exleak.prompts import samples_of
from exleak.records import Generation, Likeness, PromptGenerations
from exleak.scoring.carry_over import content_words, likeness
from exleak.store.store import digest

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.scoring import Instrument
    from exleak.store import Store

#: A sentence, an injected sentence, a control text, and whether their words are compared.
Restatable = tuple[str, str, str, bool]


@dataclass(frozen=True)
class Scored:
    """Scores of the usable generations of every prompt.

    Attributes:
        cleaned: Usable generations by prompt id, with their indices.
        probabilities: The three class probabilities of each sentence.
        similarities: Cosine similarity of each compared (sentence, concept).
        likeness: Likeness by (sentence, injected sentence, control text, whether by words).
    """

    cleaned: dict[str, list[tuple[int, Generation]]]
    probabilities: dict[str, list[float]]
    similarities: dict[tuple[str, str], float]
    likeness: dict[Restatable, Likeness]

    def classes(self, prompt: str) -> NDArray[np.float64]:
        """Class probabilities of a prompt's usable generations, shape (K, 3)."""
        import numpy as np

        rows = [self.probabilities[item.sentence] for _, item in self.cleaned[prompt]]
        return np.array(rows, dtype=np.float64).reshape(-1, 3)

    def similarity(self, prompt: str, concept: str) -> NDArray[np.float64]:
        """Cosine similarity of a prompt's usable generations to a concept, shape (K,)."""
        import numpy as np

        similarities = [
            self.similarities[item.sentence, concept] for _, item in self.cleaned[prompt]
        ]
        return np.array(similarities, dtype=np.float64)

    def indices(self, prompt: str) -> tuple[int, ...]:
        """Indices of a prompt's usable generations."""
        return tuple(index for index, _ in self.cleaned[prompt])


def score_rows(
    rows: Sequence[PromptGenerations],
    cleaned: dict[str, tuple[Generation, ...]],
    instrument: Instrument,
    store: Store | None = None,
) -> Scored:
    """Score every distinct sentence that has no stored scores, once."""
    usable = {
        key: [(i, item) for i, item in enumerate(items) if item.usable]
        for key, items in cleaned.items()
    }
    sentences = list(dict.fromkeys(item.sentence for items in usable.values() for _, item in items))
    compared = list(dict.fromkeys(_comparisons(rows, usable)))
    asked = list(dict.fromkeys(_restatable(rows, usable)))
    segments = store.scores(instrument.hash) if store else None
    known: dict[str, Any] = segments.read() if segments else {}
    fresh = _fresh(
        [sentence for sentence in sentences if _class_key(sentence) not in known],
        [pair for pair in compared if _pair_key(*pair) not in known],
        [item for item in asked if _likeness_key(*item) not in known],
        instrument,
    )
    if segments and fresh:
        segments.append(fresh)
        segments.merge()
    known |= fresh
    return Scored(
        usable,
        {sentence: known[_class_key(sentence)] for sentence in sentences},
        {pair: known[_pair_key(*pair)] for pair in compared},
        {item: Likeness(*known[_likeness_key(*item)]) for item in asked},
    )


def _comparisons(
    rows: Sequence[PromptGenerations], usable: dict[str, list[tuple[int, Generation]]]
) -> Iterator[tuple[str, str]]:
    """Every (sentence, concept) that is compared."""
    for row in rows:
        if row.control is not None and row.concept is not None:
            for prompt in (row.id, row.control):
                yield from ((item.sentence, row.concept) for _, item in usable[prompt])


def _restatable(
    rows: Sequence[PromptGenerations], usable: dict[str, list[tuple[int, Generation]]]
) -> Iterator[Restatable]:
    """Everything to check for a restatement.

    A control's sentences are checked against all injected sentences of the sample; a test
    prompt's against its own, and those of a positive or negative one against both.
    """
    for sample in samples_of(rows):
        asked = {sample.control: sample.sentences}
        for prompt, own in sample.tests:
            asked[prompt] = sample.leaking if own in sample.leaking else (own,)
        for prompt, sentences in asked.items():
            for _, item in usable[prompt]:
                for text in sentences:
                    yield item.sentence, text, sample.control_text, sample.by_words


def _class_key(sentence: str) -> str:
    return f"p:{digest(sentence)}"


def _pair_key(sentence: str, concept: str) -> str:
    return f"s:{digest(sentence)}:{digest(concept)}"


def _likeness_key(sentence: str, injected: str, control: str, by_words: bool) -> str:
    kind = "l" if by_words else "m"
    return f"{kind}:{digest(sentence)}:{digest(injected)}:{digest(control)}"


def _fresh(
    sentences: list[str],
    compared: list[tuple[str, str]],
    asked: list[Restatable],
    instrument: Instrument,
) -> dict[str, Any]:
    """Scores that are not stored: classes, similarities and likenesses, by their keys."""
    words = {
        word
        for *parts, by_words in asked
        if by_words
        for text in parts
        for word in content_words(text)
    }
    texts = {text for pair in compared for text in pair} | {t for *parts, _ in asked for t in parts}
    known = sorted(texts | words)
    if not sentences and not known:
        return {}
    total, work = len(sentences) + len(known), work_of(sentences) + work_of(known)
    with phase("scoring", "texts", total, work) as done:
        fresh = _predict(sentences, instrument) if sentences else {}
        # A scorer may say nothing, or know some texts already.
        advance(len(sentences) - done.count, work_of(sentences) - done.work)
        vectors = dict(zip(known, instrument.semantic.embed(known), strict=True)) if known else {}
    fresh |= {_pair_key(a, b): float(vectors[a] @ vectors[b]) for a, b in compared}
    # Likenesses are kept as lists of the fields of Likeness.
    return fresh | {_likeness_key(*one): list(astuple(likeness(*one, vectors))) for one in asked}


def _predict(sentences: list[str], instrument: Instrument) -> dict[str, Any]:
    probabilities = instrument.expression.predict(sentences)
    check_scores(probabilities, sentences, instrument.name)
    return {
        _class_key(sentence): row
        for sentence, row in zip(sentences, probabilities.tolist(), strict=True)
    }


def check_scores(
    probabilities: NDArray[np.float64], sentences: Sequence[str], instrument: str
) -> None:
    """Reject invalid class probabilities.

    Raises:
        InstrumentError: The shape is wrong, a value is not finite, or a row does not sum to 1.
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
