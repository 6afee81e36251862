"""Whether a labelled sentence suits a dataset, and how well: the best ones are used first.

Where plain sentences of a mood run out, others fill a dataset up, in the order of :class:`Grade`.
Order and limits come from 358 sentences of the web that are called negative and that one author
read: of the sure ones .94 were plainly negative, of the dependent ones all, of the unsure ones .57,
and of those that are rejected .19.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from exleak.aexl.filters import MIXED, UNSURE, WEAK, depends_on
from exleak.aexl.moods import Wording, is_plain
from exleak.aexl.recipe import Recipe

#: Decimals of a confidence, so that machines which differ in the last bits agree.
DECIMALS = 6
#: Probability from which the scorer is sure of a mood.
_SURE_OF_MOOD = 0.85
#: Confidence of the word list from which a sentence that does not stand alone is used early.
_CLEAR_MOOD = 0.7
#: Confidence of scorer and word list from which a neutral sentence is sure.
_SURE_OF_NONE = 0.75


class Grade(enum.IntEnum):
    """How early a sentence is used; without the filter "unsure" all are ``SURE``.

    ``DEPENDENT`` goes on with an earlier sentence, ``UNSURE`` is doubted by scorer or word list,
    ``VAGUE`` is neutral and names nothing, or lets the speaker's view be heard.
    """

    VAGUE = 0
    UNSURE = 1
    DEPENDENT = 2
    SURE = 3


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
    """One with words of its mood; if sure, it may go on with another."""
    depends = depends_on(wording.sentence, recipe)
    if words < recipe.min_confidence:
        return Judgement(probability, rejected=WEAK)
    sure = probability >= _SURE_OF_MOOD
    plain = sure and not (wording.reports or wording.hedges)
    if plain and (depends is None or words >= _CLEAR_MOOD):
        grade = Grade.SURE if depends is None else Grade.DEPENDENT
        return Judgement(min(probability, words), grade)
    return Judgement(probability, Grade.UNSURE, None if sure and not wording.reports else depends)
