"""Whether a labelled sentence suits a dataset, and how well: the best ones are used first.

Where plain sentences of a mood run out, sentences with one fault fill a dataset up, in the order
of :class:`Grade`. The order and its limits come from 358 negative sentences of the web, read by one
reader: of each grade .92, .71, .67 and .3 were good, of the rest .2 (docs/aexl.md).
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from exleak.aexl.filters import MIXED, UNSURE, WEAK, depends_on
from exleak.aexl.moods import Wording, is_plain
from exleak.aexl.recipe import Recipe

#: Decimals of a confidence, so that machines which differ in the last bits agree.
DECIMALS = 6
#: Probabilities from which the scorer is sure of a mood, and from which it needs no word list.
_SURE_OF_MOOD, _SURE_ALONE = 0.85, 0.9
#: Confidence of the word list from which a sentence that does not stand alone is used early.
_CLEAR_MOOD = 0.7
#: Confidence of scorer and word list from which a neutral sentence is sure.
_SURE_OF_NONE = 0.75


class Grade(enum.IntEnum):
    """How early a sentence is used; without the filter "unsure" all are ``SURE``."""

    VAGUE = 0
    UNSURE = 1
    WORDLESS = 2
    DEPENDENT = 3
    SURE = 4


@dataclass(frozen=True)
class Judgement:
    """What is said of a labelled sentence.

    Attributes:
        confidence: The lower confidence of scorer and word list, from 0 to 1; that of the scorer
            for a mood of which the word list is not sure, or not asked.
        grade: How early it is used.
        rejected: The name of the filter that rejects it.
    """

    confidence: float
    grade: Grade = Grade.SURE
    rejected: str | None = None


def judge(text: str, label: str, probability: float, recipe: Recipe) -> Judgement:
    """Judge a sentence that passed the text filters.

    Args:
        text: The sentence.
        label: Its most probable class.
        probability: The scorer's probability of that class.
        recipe: Its minimum confidence and filters are used.
    """
    if probability < recipe.min_confidence:
        return Judgement(probability, rejected="confidence")
    wording = Wording(text)
    if MIXED in recipe.filters and wording.contradicts(label):
        return Judgement(probability, rejected=MIXED)
    words = 1.0 if WEAK not in recipe.filters else round(wording.confidence(label), DECIMALS)
    if UNSURE not in recipe.filters:
        weak = WEAK if words < recipe.min_confidence else None
        return Judgement(min(probability, words), rejected=weak)
    if label == "neutral":
        return _neutral(wording, min(probability, words), recipe)
    if label == "negative" and wording.refuses:
        words = max(words, _CLEAR_MOOD)
    return _mood(wording, probability, words, recipe)


def _neutral(wording: Wording, lower: float, recipe: Recipe) -> Judgement:
    """One that takes no side and names something; if sure, it may go on with another."""
    if lower < recipe.min_confidence:
        return Judgement(lower, rejected=WEAK)
    depends = depends_on(wording.sentence, recipe)
    if wording.reports or not is_plain(wording.sentence):
        return Judgement(lower, Grade.VAGUE, depends)
    if lower < _SURE_OF_NONE:
        return Judgement(lower, Grade.UNSURE, depends)
    return Judgement(lower, Grade.SURE if depends is None else Grade.DEPENDENT)


def _mood(wording: Wording, probability: float, words: float, recipe: Recipe) -> Judgement:
    """One with words of its mood; if sure, it may go on with another, or have no such words."""
    depends = depends_on(wording.sentence, recipe)
    plain = not (wording.reports or wording.hedges)
    if words < recipe.min_confidence:
        found = probability >= _SURE_ALONE and not words and not wording.is_of_others
        alone = found and plain and not depends
        return Judgement(probability, Grade.WORDLESS, None if alone else WEAK)
    sure = probability >= _SURE_OF_MOOD
    if sure and plain and (depends is None or words >= _CLEAR_MOOD):
        grade = Grade.SURE if depends is None else Grade.DEPENDENT
        return Judgement(min(probability, words), grade)
    return Judgement(probability, Grade.UNSURE, None if sure and not wording.reports else depends)
