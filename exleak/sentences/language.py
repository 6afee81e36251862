"""Detection of English sentences, the only ones that an English classifier can score.

An English classifier assigns some mood, mostly the same one, to sentences of any other language, so
that a model that leaks in German appears not to leak. A sentence is classified by its script, and
in Latin script by function words, endings and letters. If they decide nothing, as in a name or a
single word, it counts as English.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from functools import cache, lru_cache
from pathlib import Path
from typing import NamedTuple

#: Damaged text: invalid bytes, control and private characters, unused tokens.
_DAMAGED = re.compile("[\ufffd\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\ue000-\uf8ff]|<unused\\d+>")
#: Maximum share of letters of other scripts in an English sentence.
_MAX_OTHER_SCRIPT = 0.4
#: Evidence required for another language: this much if there is none for English, otherwise this
#: much more than for English.
_ENOUGH = 1.0
_LEAD = 1.0
#: Weights of a word that English lacks, of a word that English may have, and of an ending.
_WORD_WEIGHT = 2.0
_DOUBTFUL_WEIGHT = 0.5
_ENDING_WEIGHT = 0.5
#: Weights of a non-English letter, and of one that also occurs in loan words. Letters of names
#: within a sentence count less.
_LETTER_WEIGHT = 1.5
_LOAN_WEIGHT = 0.75
_LOAN_LETTERS = "éèêëïîôöüäâçñá"
_ENGLISH_ENDINGS = tuple(
    "ing ed ly ness tion 's n't ful less ies ous able".split()  # noqa: SIM905
)
_ADDRESS = re.compile(r"\S*(?:://|www\.|@)\S*")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
#: Letters of other languages in Latin script that are rare in English.
_OTHER_LETTER = re.compile(r"[^\x00-\x7f]")


class _Words(NamedTuple):
    """Function words.

    Attributes:
        english: English function words.
        weights: By word, its weight for each other language.
        endings: By language, endings of its words.
    """

    english: frozenset[str]
    weights: dict[str, dict[str, float]]
    endings: dict[str, tuple[str, ...]]


@cache
def _words() -> _Words:
    """The word lists of the package; words in capitals there are never English."""
    file = Path(__file__).parent / "function_words.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    english = frozenset(data["English"].split())
    doubtful = english | frozenset(data["shared"].split())
    weights: dict[str, dict[str, float]] = {}
    for language, lists in data["others"].items():
        for word in lists["words"].split():
            plain = _lower(word)
            weight = _WORD_WEIGHT if word.isupper() and len(word) > 2 else _WORD_WEIGHT / 2
            if plain in doubtful or (len(plain) == 1 and plain.isascii()):
                weight = _DOUBTFUL_WEIGHT
            by_language = weights.setdefault(plain, {})
            by_language[language] = max(weight, by_language.get(language, 0.0))
    endings = {name: tuple(lists["endings"].split()) for name, lists in data["others"].items()}
    return _Words(english, weights, endings)


def _lower(word: str) -> str:
    return word.replace("İ", "i").lower()


@lru_cache(maxsize=65536)
def is_english(sentence: str) -> bool:
    """Whether a sentence may be English; true if undecided, and for damaged text.

    >>> is_english("She paints the garden."), is_english("Sie malt den Garten und das Haus.")
    (True, False)
    >>> is_english("Paella."), is_english("彼女は絵を描く。")
    (True, False)
    """
    if _DAMAGED.search(sentence):
        return True
    sentence = _ADDRESS.sub(" ", sentence)
    letters = [character for character in sentence if character.isalpha()]
    other = sum(not _is_latin(character) for character in letters)
    if other > _MAX_OTHER_SCRIPT * len(letters):
        return False
    words = [word.group().replace("’", "'") for word in _WORD.finditer(sentence)]
    plain = [_lower(word) for word in words]
    english = sum(_speaks_for_english(word) for word in plain)
    return _best(words, plain) < (english + _LEAD if english else _ENOUGH)


def _speaks_for_english(word: str) -> float:
    if word in _words().english:
        return 0.5 if word == "a" else 1.0
    return 0.5 * (len(word) > 4 and word.endswith(_ENGLISH_ENDINGS))


def _best(words: Iterable[str], plain: Iterable[str]) -> float:
    """Evidence for the most likely other language."""
    known = _words()
    scores = dict.fromkeys(known.endings, 0.0)
    letters = 0.0
    for place, (word, low) in enumerate(zip(words, plain, strict=True)):
        for language, weight in known.weights.get(low, {}).items():
            scores[language] += weight
        if letter := _OTHER_LETTER.search(low):
            weight = _LOAN_WEIGHT if letter.group() in _LOAN_LETTERS else _LETTER_WEIGHT
            letters += weight / 3 if place and word[0].isupper() else weight
        if len(low) > 5 and low not in known.english:
            for language, endings in known.endings.items():
                scores[language] += _ENDING_WEIGHT * low.endswith(endings)
    return max(scores.values()) + letters


@lru_cache(maxsize=4096)
def _is_latin(character: str) -> bool:
    return character.isascii() or unicodedata.name(character, "").startswith(
        ("LATIN", "FULLWIDTH LATIN", "MODIFIER LETTER", "MATHEMATICAL", "FEMININE", "MASCULINE")
    )
