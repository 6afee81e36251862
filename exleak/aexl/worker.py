"""The processing of a block in every engine: split, filter, score, keep the best."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import sentencex

from exleak.aexl.filters import UNSURE, rejected_by
from exleak.aexl.judging import DECIMALS, Grade, Judgement, judge
from exleak.aexl.pool import Pool
from exleak.records import CLASSES
from exleak.scoring.scores import check_scores
from exleak.store.store import digest

if TYPE_CHECKING:
    from exleak.aexl.recipe import Recipe
    from exleak.aexl.sources import Block
    from exleak.scoring import ExpressionScorer, Instrument
    from exleak.store.segments import Segments

_SPACE = re.compile(r"\s+")
_SEVERAL = re.compile(r"[.!?…։؟。！？][^\w\s]{0,5}\s")
#: Longest sentence that is considered, in characters, for any recipe.
_LONGEST = 1000


@dataclass(frozen=True)
class Partial:
    """The result of one block.

    Attributes:
        counts: Number of sentences by outcome, and of omitted records by reason.
        candidates: Class, text, confidence, copies and grade of each sentence that may be among
            the best.
        position: Bytes of the part read so far.
    """

    counts: dict[str, int]
    candidates: list[tuple[str, str, float, int, Grade]] = field(default_factory=list)
    position: int = 0


class Worker:
    """Processes blocks, and drops sentences worse than the best of earlier blocks.

    Args:
        recipe: The parameters of the dataset.
        instrument: The instrument, whose expression scorer labels the sentences.
        stored: Stored scores of blocks; ``None`` stores nothing.
    """

    def __init__(self, recipe: Recipe, instrument: Instrument, stored: Segments | None) -> None:
        self._recipe, self._instrument, self._stored = recipe, instrument, stored
        self._second = second_scorer(instrument, recipe)
        self._pools = make_pools(recipe)

    def work(self, block: Block) -> Partial:
        """Split a block's records into sentences; filter, score and classify them."""
        counts = Counter({f"record: {key}": value for key, value in block.problems.items()})
        passed: Counter[str] = Counter()
        for text in block.texts:
            counts["records"] += 1
            for sentence in split(text):
                counts["sentences"] += 1
                reason = _too_long(sentence) or rejected_by(sentence, self._recipe)
                if reason is None:
                    passed[sentence] += 1
                else:
                    counts[f"filter: {reason}"] += 1
        labelled = [
            (text, CLASSES[row.index(max(row))], max(row))
            for text, row in zip(passed, self._scores(list(passed)), strict=True)
        ]
        candidates = []
        for (text, label, _), judged in zip(labelled, self._judged(labelled), strict=True):
            copies = passed[text]
            if judged.rejected is not None:
                counts[f"filter: {judged.rejected}"] += copies
                continue
            counts[f"class: {label}"] += copies
            if self._pools[label].offer(text, judged.confidence, copies, judged.grade):
                candidates.append((label, text, judged.confidence, copies, judged.grade))
        return Partial(dict(counts), candidates, block.position)

    def _judged(self, labelled: Sequence[tuple[str, str, float]]) -> list[Judgement]:
        """What is said of texts with their label and its probability.

        The second scorer reads only what would pass if it agreed.
        """
        if self._second is None:
            return [judge(*row, self._recipe) for row in labelled]
        found = {row: judge(*row, self._recipe, second=row[2]) for row in labelled}
        asked = [row for row, judged in found.items() if judged.rejected is None]
        texts = [text for text, _, _ in asked]
        scores = self._second.predict(texts).round(DECIMALS).tolist() if texts else []
        for row, values in zip(asked, scores, strict=True):
            found[row] = judge(*row, self._recipe, second=values[CLASSES.index(row[1])])
        return list(found.values())

    def _scores(self, texts: list[str]) -> Sequence[list[float]]:
        """Class probabilities of texts, from the store if it has them."""
        if not texts:
            return []
        keys = [digest(text) for text in texts]
        name = digest("\n".join(keys))
        known = self._stored.read_one(name) if self._stored else {}
        if list(known) == keys:
            return list(known.values())
        scores = self._instrument.expression.predict(texts)
        check_scores(scores, texts, self._instrument.name)
        rows = [[round(float(value), DECIMALS) for value in row] for row in scores]
        if self._stored:
            self._stored.append(dict(zip(keys, rows, strict=True)), name)
        return rows


def second_scorer(instrument: Instrument, recipe: Recipe) -> ExpressionScorer | None:
    """A second scorer of the labels: the first version of the embedded one, with its second.

    It was trained on other data, and reads the encoder as published, whose states are at hand.
    ``None`` with another instrument, and without the filter "unsure".
    """
    if instrument.name != "embedded" or UNSURE not in recipe.filters:
        return None
    from exleak.scoring import load_instrument

    return load_instrument("embedded-1").expression


def _too_long(sentence: str) -> str | None:
    """Reject very long sentences: the filters' patterns may take quadratic time."""
    return "length" if len(sentence) > _LONGEST else None


def make_pools(recipe: Recipe) -> dict[str, Pool]:
    """Create an empty pool for each class."""
    return {label: Pool(recipe.top * recipe.reserve) for label in CLASSES}


def split(text: str) -> list[str]:
    """Split a record into sentences, with single spaces."""
    text = _SPACE.sub(" ", text).strip()
    if _SEVERAL.search(text) is None:
        return [text]
    return [sentence for part in sentencex.segment("en", text) if (sentence := part.strip())]
