"""Whether a labelled sentence suits a dataset, and how well: the best ones are used first.

Where plain sentences of a mood run out, others fill a dataset up, in the order of :class:`Grade`.
Order and limits come from 358 sentences of the web that are called negative and that one author
read: of the sure ones .96 were plainly negative, of the dependent ones .93, of those without a
listed word .83, of the less sure .86, of the doubted .55, and of those that are rejected .18.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from exleak.aexl.filters import MIXED, UNSURE, WEAK, depends_on
from exleak.aexl.moods import Wording, is_plain
from exleak.aexl.recipe import Recipe

#: Decimals of a confidence, so that machines which differ in the last bits agree.
DECIMALS = 6
#: Probabilities from which scorers are sure of a mood, and below which they doubt it.
_SURE_OF_MOOD, _DOUBTED_MOOD = 0.85, 0.8
#: Confidence of the word list from which a sentence that does not stand alone is used early, where
#: there is no second scorer.
_CLEAR_MOOD = 0.7
#: Confidence from which a neutral sentence is sure, of one scorer and of the less sure of two.
_SURE_OF_NONE, _BOTH_SURE_OF_NONE = 0.75, 0.7


class Grade(enum.IntEnum):
    """How early a sentence is used; without the filter "unsure" all are ``SURE``.

    ``DEPENDENT`` goes on with an earlier sentence, ``WORDLESS`` has a mood without a listed word
    that two scorers are sure of, ``UNSURE`` is less sure, ``VAGUE`` is neutral and names nothing,
    or lets the speaker's view be heard, ``DOUBTED`` has a mood that a scorer doubts.
    """

    DOUBTED = 0
    VAGUE = 1
    UNSURE = 2
    WORDLESS = 3
    DEPENDENT = 4
    SURE = 5


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


def judge(
    text: str, label: str, probability: float, recipe: Recipe, second: float | None = None
) -> Judgement:
    """Judge a sentence that passed the text filters.

    Args:
        text: The sentence.
        label: Its most probable class.
        probability: The scorer's probability of that class.
        recipe: Its minimum confidence and filters are used.
        second: The probability of that class by a second scorer, if there is one. The less sure of
            both counts.
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
    least = probability if second is None else min(probability, second)
    if label == "neutral":
        if words < recipe.min_confidence:
            return Judgement(words, rejected=WEAK)
        limit = _SURE_OF_NONE if second is None else _BOTH_SURE_OF_NONE
        return _neutral(wording, min(least, words), limit, recipe)
    if label == "negative" and wording.refuses:
        words = max(words, _CLEAR_MOOD)
    return _mood(wording, least, words, recipe, has_second=second is not None)


def _neutral(wording: Wording, lower: float, limit: float, recipe: Recipe) -> Judgement:
    """One that takes no side and names something; if sure, it may go on with another."""
    depends = depends_on(wording.sentence, recipe)
    if wording.reports or not is_plain(wording.sentence):
        return Judgement(lower, Grade.VAGUE, depends)
    if lower < limit:
        return Judgement(lower, Grade.UNSURE, depends)
    return Judgement(lower, Grade.SURE if depends is None else Grade.DEPENDENT)


def _mood(
    wording: Wording, probability: float, words: float, recipe: Recipe, *, has_second: bool
) -> Judgement:
    """One with words of its mood; if sure, it may go on with another, or have no such words."""
    sure = probability >= _SURE_OF_MOOD
    plain = sure and not (wording.reports or wording.hedges)
    if words < recipe.min_confidence:
        return Judgement(probability, Grade.WORDLESS, None if plain and has_second else WEAK)
    depends = depends_on(wording.sentence, recipe)
    if plain and (depends is None or has_second or words >= _CLEAR_MOOD):
        grade = Grade.SURE if depends is None else Grade.DEPENDENT
        return Judgement(min(probability, words), grade)
    grade = Grade.UNSURE if probability >= _DOUBTED_MOOD else Grade.DOUBTED
    return Judgement(probability, grade, None if sure and not wording.reports else depends)
