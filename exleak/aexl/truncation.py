"""Control phrases: sentences truncated in the middle (Algorithm 1, line 9).

The paper does not say where it truncates. Here a phrase begins with a subject and stops after a
word that cannot end a sentence and that any mood can follow: preferably a form of "be", as in the
paper's "Her passion is".
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from exleak.aexl.statements import VERBS, has_subject, word_set

if TYPE_CHECKING:
    from exleak.aexl.recipe import Recipe

#: Words that leave a sentence and its mood open, in order of preference.
_OPEN = (
    "is are was were be been became becomes seems seemed looks looked sounds sounded tastes tasted "
    "smells smelled feels felt remains remained",
    "that because when while and so",
    "has have had",
    "will would can could",
    "in on at by for with from into near behind between across against under through within along "
    "around a an the his her their our my",
)
_RANK = {word: rank for rank, words in enumerate(_OPEN) for word in words.split()}
#: The last value of `closeness`.
CLOSED = 2
#: Words that join two clauses, after a verb.
_JOINS = word_set("because when while and so")
#: Words that must stand before a "that" which begins a clause.
_BEFORE_THAT = word_set(
    "said says say thought think thinks believe believed believes knew know knows felt feel told "
    "heard noticed found decided agreed explained learned realised realized meant means announced "
    "me us her him them"
)
#: Words that must stand before a "be".
_BEFORE_BE = word_set("can could will would to")
#: Auxiliaries that follow a person, and words that begin such a subject.
_MODALS = word_set(_OPEN[3])
_OF_PERSONS = word_set("i we he she everyone everybody people my our his her their")
_PHRASE = re.compile(r"[A-Z][A-Za-z ]*(?:['’-][A-Za-z ]+)*")
#: Negations, questions, addresses, lists, and relative clauses that begin at the end.
_UNSUITABLE = re.compile(
    r"\b(?:not|no|never|none|nor|nobody|nothing|if|whether|how|what|why|wonder\w*|ask\w*|but|you|"
    r"your|this|which|only|should|first|second|third|fourth|fifth|allegedly)\b|n['’]t\b|"
    r" (?:i|we|he|she|it|they|there|and|or|which|who|that|as \w+|than \w+) \w+$| or ",
    re.I,
)


def control_phrase(sentence: str, recipe: Recipe) -> str | None:
    """Truncate a sentence to a control phrase; ``None`` if there is no suitable place.

    Args:
        sentence: A complete sentence.
        recipe: Its ``truncation`` and the control's length bounds are used.
    """
    words = sentence.rstrip(".!?\"'”’)").split()
    if recipe.truncation == "half":
        length = min(max(len(words) // 2, recipe.min_control_words), recipe.max_control_words)
        return " ".join(words[:length]).rstrip(",;:") if length < len(words) else None
    if len(words) < 3 or not has_subject(words):
        return None
    longest = min(recipe.max_control_words, len(words) - 1)
    stops = [
        (_RANK[words[length - 1]], length)
        for length in range(recipe.min_control_words, longest + 1)
        if _leaves_open(words[:length])
    ]
    for _, length in sorted(stops):
        phrase = " ".join(words[:length])
        if _PHRASE.fullmatch(phrase) and not _UNSUITABLE.search(phrase):
            return phrase
    return None


def closeness(phrase: str) -> int:
    """How little a control phrase leaves open.

    >>> closeness("The food was"), closeness("I came in and"), closeness("I had a")
    (0, 1, 2)

    Returns:
        0 where any mood can follow, 1 in the middle of a story, ``CLOSED`` where a thing or place
        must follow.
    """
    last = phrase.split()[-1]
    return CLOSED if _RANK.get(last) == len(_OPEN) - 1 else int(last in _JOINS)


def _leaves_open(words: list[str]) -> bool:
    """Whether a sentence may stop after the last of these words."""
    *before, last = words
    if last == "that":
        return bool(before) and before[-1] in _BEFORE_THAT
    if last in _JOINS:
        verb = any(word in VERBS or word.endswith("ed") for word in before[1:])
        return verb and before[-1].islower() and before[-1] != "a"
    if last == "be" and before and before[-1] not in _BEFORE_BE:
        return False
    return last in _RANK and (last not in _MODALS or before[0].casefold() in _OF_PERSONS)
