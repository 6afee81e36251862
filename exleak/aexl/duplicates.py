"""Removes near duplicates and paraphrases from the best sentences of a class."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exleak.aexl.filters import words

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from exleak.aexl.pool import Candidate
    from exleak.aexl.recipe import Recipe

Embed = Callable[[Sequence[str]], "NDArray[np.float64]"]
_BATCH = 256


def distinct(
    candidates: Sequence[Candidate], recipe: Recipe, embed: Embed
) -> tuple[list[Candidate], Counter[str]]:
    """The top m of a class without near duplicates.

    A sentence is dropped if a better one that is kept has too many words in common with it, or too
    similar an embedding.

    Args:
        candidates: A pool's content, best first.
        recipe: Its ``top``, ``max_overlap`` and ``max_paraphrase`` are used.
        embed: Unit vectors (n, d) of n texts.

    Returns:
        Up to ``top`` sentences, best first; and the number of dropped ones, by reason.
    """
    kept: list[Candidate] = []
    dropped: Counter[str] = Counter()
    overlap, meaning = _Overlap(), _Meaning(embed)
    for start in range(0, len(candidates), _BATCH):
        batch = candidates[start : start + _BATCH]
        if recipe.max_paraphrase < 1:
            meaning.load([candidate.text for candidate in batch])
        for candidate in batch:
            if len(kept) == recipe.top:
                return kept, dropped
            if recipe.max_overlap < 1 and overlap.largest(candidate.text) > recipe.max_overlap:
                dropped["near duplicate"] += 1
            elif recipe.max_paraphrase < 1 and meaning.closest(candidate.text) > (
                recipe.max_paraphrase
            ):
                dropped["paraphrase"] += 1
            else:
                kept.append(candidate)
                overlap.add(candidate.text)
                meaning.add(candidate.text)
    return kept, dropped


class _Overlap:
    """Word overlap with the added texts, by an inverted index, so that few are compared."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._holders: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, text: str) -> None:
        distinct_words = set(words(text))
        for word in distinct_words:
            self._holders[word].append(len(self._sizes))
        self._sizes.append(len(distinct_words))

    def largest(self, text: str) -> float:
        """The largest share of common words (Jaccard) with an added text."""
        distinct_words = set(words(text))
        common: Counter[int] = Counter()
        for word in distinct_words:
            common.update(self._holders.get(word, ()))
        shares = (
            count / (len(distinct_words) + self._sizes[index] - count)
            for index, count in common.items()
        )
        return max(shares, default=0.0)


class _Meaning:
    """Embedding similarity to the added texts; texts are embedded in batches."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._loaded: dict[str, NDArray[np.float64]] = {}
        self._kept: NDArray[np.float64] | None = None
        self._count = 0

    def load(self, texts: Sequence[str]) -> None:
        self._loaded = dict(zip(texts, self._embed(texts), strict=True))

    def add(self, text: str) -> None:
        import numpy as np

        if text not in self._loaded:
            return
        row = self._loaded[text]
        if self._kept is None:
            self._kept = np.empty((_BATCH, len(row)))
        elif self._count == len(self._kept):
            self._kept = np.concatenate([self._kept, np.empty_like(self._kept)])
        self._kept[self._count] = row
        self._count += 1

    def closest(self, text: str) -> float:
        """The largest cosine similarity to an added text."""
        if self._kept is None:
            return -1.0
        return float((self._kept[: self._count] @ self._loaded[text]).max())
