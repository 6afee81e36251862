"""A second view on the mood of a sentence: the word list must agree with the scorer's label.

The scorer may label "he is out of hospital, and already cracking jokes" negative because of single
words, and "a committee meets on Monday" either way. It errs most on sentences in which the word
list finds both moods, or none.
"""

from __future__ import annotations

import functools
import math
import re

from exleak.aexl.statements import word_set
from exleak.scoring.lexicon import Lexicon, split_words
from exleak.scoring.text import normalise

#: Minimum strengths for a word of the opposite mood, and for any word in a neutral sentence, on the
#: list's scale of 1 to 4.
_OPPOSITE, _STRONG = 1.5, 3.0
#: Contrast, condition, wish and hearsay: the mood is not that of the whole sentence, or not a fact.
_UNSETTLED = re.compile(
    r"\b(?:but|although|though|however|despite|except|yet|unless|until|if|instead|nor|should|might|"
    r"may|(?:w|c)ould(?:n['’]t| not)? have|hope|hoped|wish|said|says|claim(?:s|ed)?|according|"
    r"report(?:s|ed|edly)?|feared|accus(?:es|ed)|than|used to|no longer|supposed|sometimes|"
    r"maintains|affected|fun at|others?|okay|will be \w+ed|(?:can['’]?t|cannot) (?:describe|tell|"
    r"imagine)|(?:don['’]t|not) know)\b",
    re.I,
)
#: Words by which a mood is a guess or a small one.
_HEDGES = re.compile(
    r"\b(?:probably|perhaps|maybe|i (?:think|guess|suppose)|(?:kind|sort|bit) of|a (?:bit|little)|"
    r"somewhat|rather|relatively|tends?|(?:not|n['’]t) (?:all|that|so|very|really))\b",
    re.I,
)
#: A refusal, without a word of mood ("I will never go there again").
_REFUSES = re.compile(r"\b(?:never|not|none)\b.*\bagain\b|n['’]t\b.*\bagain\b", re.I)
_NEGATED = re.compile(r"\b(?:not|never|cannot)\b|n['’]t\b", re.I)
_WITHOUT = re.compile(r"\b(?:no|none|nobody|nothing|without)\b", re.I)
#: What a neutral sentence does not have: an exclamation mark, or words in capitals.
_LOUD = re.compile(r"!|\b(?:[A-Z]{4,}|THE|SO|NOT)\b")
#: Listed words for events, states and uses that prose reports without a mood: they count less.
_REPORTED = word_set(
    "abandon abandoned abuse abused accident accuse accused addicted alarm assault attack ban "
    "bankrupt bankruptcy battered betrayed bias biased blame bleed blind block bloodshed bomb "
    "bombed bombing bore break broke broken bug burden burn burnt cancer casualty caution "
    "collapse collide complain complaint concern concerned condemn conflict corpse corrupt "
    "corruption costly crack crash crashed crime criminal cripple crippled crisis critical "
    "criticise criticism criticize damage damaged damn damp danger dangerous darkness dead deadly "
    "deaf death debt decay deceive decline defeat defeated defect defective defensive deficit "
    "defy demolish denial denied depression deprive deserted desperate destroy destruction "
    "destructive deteriorate devastate die died dies disadvantage disagree disappear disaster "
    "disease dismiss disorder disrupt distort drained drown drunk dump dying earthquake enemy "
    "epidemic exhaust exploit explosion fail failed failing failure fake false famine fatal "
    "fatality faulty fired flaw flawed flee forbid forced fraud freezing genocide guilt guilty "
    "gunshot harass harassment harm harmful hinder homeless hostage hostile hunger ill illegal "
    "illness impair inaccurate incomplete inconsistent incorrect inferior injure injured injury "
    "isolated isolation jail kill killed killer killing lawsuit lie lied lies limited losing loss "
    "lost massacre mean menace monster mourn murder murdered murderer nazi negative numb outcry "
    "overwhelm panic penalty plague poison pollute pollution poor poverty prison prisoner protest "
    "punish punishment racism racist rape recession refuse refused rejected rejection restricted "
    "revolt rigid riot rip scandal scar shatter shock shooting sick slaughter slave slavery slump "
    "spoil stain starve starving steal stole stolen strain suffer suffered suffering suicide "
    "suppress suspend tear tears terminal terror terrorism terrorist thief threat threaten "
    "threatened torture tortured trapped trauma treason turmoil tyranny undermine unemployed "
    "unrest unstable victim violate violence violent virus vomit vomiting vulnerable war waste "
    "wasted wound wounded wreck wrong"
) | word_set(
    "able accessible affordable benefit bold celebrate clean clear confidence cool ease easy "
    "famous free freedom fresh funny gain growth handy help holiday improve improved improvement "
    "like likes moving party popular prize progress safe secure smart solution strength strong "
    "success support surprise talent trust unique useful valuable worthy"
)
_REPORTED_WEIGHT = 0.25
#: Advice, wishes, plans, adverbs by which whoever speaks takes a side, and events with a mood:
#: of families, crime and war.
_TAKES_SIDES = re.compile(
    r"\b(?:would|should|could|must|may|might|cannot|can['’]?t|needs?|needed|wants?|wanted|prefer|"
    r"even|already|simply|finally|only|really|very|quite|actually|always|never|almost|barely|"
    r"hardly|again|way|funeral|accident|surgery|birthday|wedding|party|vacation|allegedly|arrest\w*|"
    r"captur\w*|nabbed|jihad\w*|militants?|terror\w*|coup|missiles?|weapons?|troops|suspect\w*|"
    r"prison\w*|police|soldiers?|surveillance|disappear\w*|satan\w*|anthrax|bomb\w*|rebels?|"
    r"guerrillas?|insurgen\w*|hostages?|militias?)\b|['’]d\b",
    re.I,
)
#: Strength of words that make no sentence positive or negative, however many.
_FAINT = 1.0
#: Sum of strengths at which the word list's confidence is 0.71.
_HALF = 2.4

#: What brings something new: an indefinite article, a number, a name.
_NEW = re.compile(r"\b(?:an?|two|three|four|five|six|several)\b|\d|\s(?!I\b)[A-Z]")


class Wording:
    """The listed words of a sentence.

    Attributes:
        sentence: The sentence.
    """

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    @functools.cached_property
    def _matches(self) -> list[tuple[str, float, float]]:
        """Each listed word with its strength and what its context makes of it."""
        # Found when first asked for: without the filters on mood, nobody asks.
        lexicon, words = _lexicon(), split_words(normalise(self.sentence))
        found = lexicon.weighted(words) if any(map(_may_match, words)) else []
        return [(entry, lexicon.strengths[entry], factor) for _, entry, factor in found]

    @property
    def hedges(self) -> bool:
        """Whether the mood is called a guess, or a small one."""
        return _HEDGES.search(self.sentence) is not None

    @property
    def refuses(self) -> bool:
        """Whether the speaker will not do something again."""
        return _REFUSES.search(self.sentence) is not None

    @property
    def reports(self) -> bool:
        """Whether a listed word is one that prose uses without a mood, for events and states."""
        return any(entry in _REPORTED for entry, _, _ in self._matches)

    def contradicts(self, label: str) -> bool:
        """Whether a word contradicts the label, or the mood is not that of the whole sentence.

        A word's strength is tested both with and without its context (negation and emphasis); a
        negated positive word does not contradict a negative label. In a neutral sentence only
        strong words count.

        Args:
            label: ``"negative"``, ``"neutral"`` or ``"positive"``.
        """
        negated = _NEGATED.search(self.sentence) is not None
        strengths = [strength * factor for _, strength, factor in self._matches]
        strengths += [
            strength
            for _, strength, factor in self._matches
            if not (negated and factor < 0 and label == "negative")
        ]
        if label == "neutral":
            return any(abs(strength) >= _STRONG for strength in strengths)
        if _UNSETTLED.search(self.sentence):
            return True
        if label == "positive" and (negated or _WITHOUT.search(self.sentence)):
            return True
        sign = 1 if label == "positive" else -1
        return any(strength * sign <= -_OPPOSITE for strength in strengths)

    def confidence(self, label: str) -> float:
        """How clearly the words have the mood of a label, from 0 to 1.

        Args:
            label: ``"negative"``, ``"neutral"`` or ``"positive"``.
        """
        if label == "neutral":
            strengths = [abs(strength * factor) for _, strength, factor in self._matches]
            loud = _LOUD.search(self.sentence) is not None
            return 0.0 if loud else 1 - _clear(sum(strengths) / 2)
        total = sum(
            strength * factor * (_REPORTED_WEIGHT if entry in _REPORTED else 1)
            for entry, strength, factor in self._matches
            if abs(strength) > _FAINT
        )
        return _clear(total if label == "positive" else -total)


def is_plain(sentence: str) -> bool:
    """Whether a neutral sentence names something of its own, and takes no side.

    A name, a number or "a" brings something new; without it a sentence mostly goes on with what
    was said before ("I can do it myself"). Advice, a wish, a plan, a word like "even" and
    "already", or an event like a funeral lets the speaker's view be heard.

    Args:
        sentence: A sentence.
    """
    return _NEW.search(sentence) is not None and _TAKES_SIDES.search(sentence) is None


def _clear(strength: float) -> float:
    """From a sum of strengths to a confidence: 1.8 gives 0.6, 3 gives 0.78, 6 gives 0.93."""
    return max(0.0, strength) / math.hypot(strength, _HALF)


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
