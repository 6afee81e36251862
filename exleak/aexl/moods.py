"""Whether single words speak against the mood that a sentence was labelled with.

The scorer reads "he is out of hospital, and already cracking jokes" by its words, and may call it
negative. Sentences in which the word list sees both moods are where it errs most; a dataset can do
without them.
"""

from __future__ import annotations

import functools

from exleak.scoring.lexicon import Lexicon, split_words
from exleak.scoring.text import normalise

#: Strength from which a word of the other mood counts, and from which one counts in a neutral
#: sentence, on the list's scale of 1 to 4.
_OPPOSITE, _STRONG = 1.5, 3.0


def is_mixed(sentence: str, label: str) -> bool:
    """Whether a sentence holds a listed word of another mood than its label's.

    Args:
        sentence: A sentence.
        label: ``"negative"``, ``"neutral"`` or ``"positive"``. A word counts by its strength and
            by the strength that negation leaves it; in a neutral sentence only strong ones count.
    """
    lexicon = _lexicon()
    words = split_words(normalise(sentence))
    if not any(map(_may_match, words)):
        return False
    found = lexicon.weighted(words)
    plain = [lexicon.strengths[entry] for _, entry, _ in found]
    strengths = plain + [lexicon.strengths[entry] * factor for _, entry, factor in found]
    if label == "neutral":
        return any(abs(strength) >= _STRONG for strength in strengths)
    sign = 1 if label == "positive" else -1
    return any(strength * sign <= -_OPPOSITE for strength in strengths)


@functools.cache
def _lexicon() -> Lexicon:
    return Lexicon.shipped()


@functools.lru_cache(maxsize=100_000)
def _may_match(word: str) -> bool:
    """Whether a word is listed, or begins a phrase that is: most sentences need no closer look."""
    return word in _phrase_beginnings() or any(True for _ in _lexicon().matches([word]))


@functools.cache
def _phrase_beginnings() -> frozenset[str]:
    entries = _lexicon().strengths
    return frozenset(entry.partition(" ")[0] for entry in entries if " " in entry)
