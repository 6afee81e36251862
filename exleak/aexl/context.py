"""Whether a sentence can be understood by somebody who has read nothing else.

Sentences of prose point to earlier ones ("them", "this attempt", "there") or speak to a reader
("your visa"). The rules are word lists without a parser: a pronoun is understood if the sentence
names something earlier that it can stand for.
"""

from __future__ import annotations

import re
from itertools import pairwise

from exleak.aexl.statements import WITH_OBJECT, is_verb, main_clause, word_set

#: Words that point to what was said before, or that speak to the reader.
_POINTS = re.compile(
    r"^there\b|\bthere\b(?! (?:is|are|was|were|has|have|had|will|would|(?:did|is|was)n['’]t)\b)|"
    r"\b(?:then|you(?:['’](?:re|ll|ve|d))?|yours?|all this|(?:do|does|did|done) (?:that|so))\b|"
    r"\b(?:though|either|better|worse|more|less)[.!]|"
    r"\bthat(?:['’]s|[.,!]| (?:one|and|day|time|place|point|role|way)\b)",
    re.I,
)
#: "This" is understood before a name, and before what somebody speaks of where they are.
_THIS = re.compile(
    r"\b[Tt]his\b(?! (?:[A-Z]|(?:place|company|store|shop|restaurant|hotel|school|gym|agency|salon|"
    r"bar|cafe|market|church|park|hospital|clinic|office|area|spot|country|city|town|world|year|"
    r"month|week|morning|afternoon|evening|summer|winter|spring|autumn|fall|the|bad|good)\b))"
)
_ONE, _MANY = word_set("it he she him her"), word_set("they them")
_NAMING = word_set("a an the my our his each every another some any no this he she")
#: Nouns without an -s that "they" can stand for.
_GROUPS = word_set(
    "people men women children staff everyone everybody management team police government company "
    "agency crew couple public who"
)
#: Words in -s that are no plural.
_NO_PLURAL = word_set("was has does is his this always perhaps across yes us its as less process")
#: Words that may stand between a subject and its verb.
_ADVERBS = word_set("always ever just never only really still")
#: Words after which one in -ed is an adjective.
_BEFORE_ADJECTIVE = word_set("a an the my our his her their very most more highly newly well so")
_SUBJECTS = word_set("i we he she they there it who that which")
_RELATIVE = re.compile(r"^(?:i|we|he|she|they|there|it)['’]", re.I)


def needs_context(text: str) -> bool:
    """Whether a statement points to something that it does not name.

    >>> needs_context("My mother showed me how to tame them."), needs_context("My cats loved it.")
    (True, False)

    Args:
        text: One sentence with its closing mark.
    """
    if _POINTS.search(text) or _THIS.search(text):
        return True
    words = [word.strip(".,;:!?'’\"") for word in text.split()]
    # With a capital, "He" is the subject that a control may have, too.
    pronouns = [place for place, word in enumerate(words) if word in _ONE | _MANY]
    return not all(_is_named(words[:place], words[place]) for place in pronouns)


def is_fragment(text: str) -> bool:
    """Whether a sentence has no verb of its own, but of a relative clause or before a noun.

    >>> is_fragment("The best food I've ever had."), is_fragment("The best food was the fish.")
    (True, False)
    >>> is_fragment("A very satisfied customer!")
    True

    Args:
        text: One sentence with its closing mark.
    """
    words = [word.strip(".,;:!?'’\"").casefold() for word in main_clause(text)]
    words = [word for word in words if word not in _ADVERBS]
    if not words or words[0] in _SUBJECTS or _RELATIVE.match(words[0]) or WITH_OBJECT.search(text):
        return False
    return all(
        any(map(_RELATIVE.match, (before, word)))
        or before in _SUBJECTS
        or (before in _BEFORE_ADJECTIVE and word.endswith("ed"))
        for before, word in pairwise(words)
        if is_verb(word)
    )


def _is_named(before: list[str], pronoun: str) -> bool:
    """Whether one of the words before a pronoun can be what it stands for."""
    if pronoun in _ONE:
        names = any(word[:1].isupper() and not word.startswith("I") for word in before[1:])
        return names or any(word in _NAMING for word in map(str.casefold, before))
    if pronoun == "them":
        before = before[:-1]  # The word just before "them" is a verb.
    return any(
        word in _GROUPS or (len(word) > 3 and word.endswith("s") and word not in _NO_PLURAL)
        for word in map(str.casefold, before)
    )
