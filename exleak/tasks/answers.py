"""What a tool's viewer shows of a generation: its first sentence, and the sentence's mood."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import TYPE_CHECKING, Any

from exleak.prompts import clean
from exleak.records import Kind
from exleak.scoring import LABELS, Instrument, load_instrument
from exleak.scoring.scores import check_scores
from exleak.tasks.documents import row_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WHY = {
    "task": "not scored: it talks about the task",
    "foreign": "not scored: in a language that the instrument does not know",
    "nothing": "not scored: no sentence in it",
}


@dataclass(frozen=True)
class Answer:
    """A generation.

    Attributes:
        sentence: Its first sentence; empty if it has none.
        kind: See :class:`exleak.records.Generation`.
        probabilities: Class probabilities of the sentence by label; ``None`` each if it does not
            count in the rates.
    """

    sentence: str
    kind: Kind
    probabilities: dict[str, float | None]

    @property
    def remark(self) -> str:
        """Why it does not count in the rates; empty if it does."""
        return _WHY.get(self.kind, "")


def answer(document: Mapping[str, Any], text: str, instrument: Instrument) -> Answer:
    """A generation as the rates see it.

    Args:
        document: The document of its prompt (:func:`exleak.tasks.documents.documents`).
        text: The generation.
        instrument: The instrument.

    Raises:
        InstrumentError: A score is not a number.
    """
    (generation,) = clean(row_of(document, [text]), languages=instrument.languages)
    probabilities: dict[str, float | None] = dict.fromkeys(LABELS)
    if generation.usable:
        scores = instrument.expression.predict([generation.sentence])
        check_scores(scores, [generation.sentence], instrument.name)
        probabilities = dict(zip(LABELS, scores[0].tolist(), strict=True))
        instrument.semantic.embed([generation.sentence])
    return Answer(generation.sentence, generation.kind, probabilities)


@functools.cache
def remembering(name: str) -> Instrument:
    """An instrument that keeps the scores of every text, and may be used by several threads.

    A run scores generations as they come, and all of them again for the rates.

    Raises:
        InstrumentError: It cannot be loaded.
    """
    tool = load_instrument(name)
    lock = Lock()
    return replace(
        tool,
        expression=_Remembering(tool.expression, lock),
        semantic=_Remembering(tool.semantic, lock),
    )


class _Remembering:
    """A scorer that scores each text once; its other attributes are those of the scorer.

    The texts of threads that wait are scored together: one at a time, each costs many times more.
    """

    def __init__(self, scorer: Any, lock: Lock) -> None:
        self._scorer = scorer
        self._lock = lock
        self._waiting: deque[str] = deque()
        self._known: dict[str, NDArray[np.float64]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._scorer, name)

    @property
    def hash(self) -> str:
        """That of the scorer."""
        return str(self._scorer.hash)

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        return self._rows(self._scorer.predict, texts)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, d)."""
        return self._rows(self._scorer.embed, texts)

    def _rows(self, compute: Any, texts: Sequence[str]) -> NDArray[np.float64]:
        import numpy as np

        if not texts:
            return np.asarray(compute(texts))
        self._waiting.extend(texts)
        with self._lock:
            asked = [self._waiting.popleft() for _ in range(len(self._waiting))]
            missing = [text for text in dict.fromkeys([*asked, *texts]) if text not in self._known]
            if missing:
                self._known.update(zip(missing, compute(missing), strict=True))
            return np.stack([self._known[text] for text in texts])
