"""The mixed-mood filter: rejects sentences with words that contradict their label.

The scorer may label "he is out of hospital, and already cracking jokes" negative because of single
words. It errs most on sentences in which the word list finds both moods.
"""

from __future__ import annotations

import functools

from exleak.scoring.lexicon import Lexicon, split_words
from exleak.scoring.text import normalise

#: Minimum strengths for a word of the opposite mood, and for any word in a neutral sentence, on the
#: list's scale of 1 to 4.
_OPPOSITE, _STRONG = 1.5, 3.0


def is_mixed(sentence: str, label: str) -> bool:
    """Whether a sentence contains a listed word whose mood contradicts the label.

    A word's strength is tested both with and without its context (negation and emphasis). In a
    neutral sentence only strong words count.

    Args:
        sentence: A sentence.
        label: ``"negative"``, ``"neutral"`` or ``"positive"``.
    """
    lexicon = _lexicon()
    words = split_words(normalise(sentence))
    if not any(map(_may_match, words)):
        return False
    matches = lexicon.weighted(words)
    plain = [lexicon.strengths[entry] for _, entry, _ in matches]
    strengths = plain + [lexicon.strengths[entry] * factor for _, entry, factor in matches]
    if label == "neutral":
        return any(abs(strength) >= _STRONG for strength in strengths)
    sign = 1 if label == "positive" else -1
    return any(strength * sign <= -_OPPOSITE for strength in strengths)


@functools.cache
def _lexicon() -> Lexicon:
    return Lexicon.shipped()


@functools.lru_cache(maxsize=100_000)
def _may_match(word: str) -> bool:
    """Whether a word is listed or begins a listed phrase: a fast test that skips most sentences."""
    return word in _phrase_beginnings() or any(True for _ in _lexicon().matches([word]))


@functools.cache
def _phrase_beginnings() -> frozenset[str]:
    entries = _lexicon().strengths
    return frozenset(entry.partition(" ")[0] for entry in entries if " " in entry)
