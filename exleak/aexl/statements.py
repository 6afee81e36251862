"""What a plain statement looks like: it begins with its subject, and has a finite verb.

Text of the web and of newspapers is full of questions, orders, headings and sentences that need
their context. These are word lists without a parser: they let through only beginnings that they
know, so a text also loses good sentences here.
"""

from __future__ import annotations

import re


def word_set(text: str) -> frozenset[str]:
    """The words of a string, separated by spaces."""
    return frozenset(text.split())


#: Subjects that need no further word and no earlier sentence.
_PERSONS = word_set("i we you he she everyone everybody nobody someone somebody people")
#: Words that a noun follows.
_DETERMINERS = word_set(
    "the a an my our his her your their every each some most many several all both two three four "
    "five six seven eight nine ten another one this"
)
#: Those of them that stand for something said before if a verb follows.
_POINTERS = word_set("this one some most many several all both another each two three four five")
_AUXILIARIES = word_set(
    "is are was were am has have had does do did will would can could may might must should"
)
_SHORT_FORM = re.compile(r"n't$|^(?:i|we|you|he|she|they|it|there)'(?:s|re|m|ve|ll|d)$")
#: Common finite forms that are rarely nouns.
VERBS = word_set(
    "became becomes began begins bore bought brings brought broke came comes costs deserves died "
    "drove eats fell felt feels found gave gets gives goes got grew grows happens held helps "
    "holds keeps hates includes kept knew knows lay led left lets likes lives looks lost loves "
    "made makes means meant met needs offers opens owns paid pay provides puts ran remains "
    "requires rose said sang sat saw says seems sells sent serves shows sits slept sold spent "
    "spoke stands stayed stood sucks takes taught tells thinks thought threw told took turns "
    "understood uses wants wears went won wore works wrote"
)
#: Words in -ed that are no past tense.
_NOT_PAST = word_set("hundred indeed naked sacred speed breed exceed proceed succeed")
#: Words that begin no subject: of questions, orders, asides and continuations.
_NO_SUBJECT = word_set(
    "it they that those these there here what who whom whose which where when why how if so and "
    "but or nor also then thus as at by for from in into of on to with not no never only just "
    "even still yet now once such others neither either let see go get take call ask try use "
    "visit read check add make look thank thanks please find meet contact because although though "
    "while after before since until during despite unlike like more few less response answer "
    "question note do don't did does is are was were can could will would should may might must "
    "have has had be been being give keep put come stay avoid buy bring imagine consider remember "
    "think know want guess plus other same above below obviously however perhaps maybe therefore "
    "first need help love hate hope wish enjoy turn leave show tell say watch"
)
#: Words that may begin an introduction of a few words before a comma.
_INTRODUCTIONS = word_set(
    "in on at for with during after last overall yesterday today honestly personally sadly recently"
)
_LONGEST_INTRODUCTION = 6
#: Marks of lists, asides, quotations, headings and typing errors.
_MARKS = re.compile(
    r"[()\[\]\"“”:;*/=+~<>_…]|''|\.\.|--|\s[-–—]|[-–—]\s|[a-z][.!?,][A-Za-z]|\s[.!?,]|\si\s|[!?]{2}|"
    r"(?:^|\s)'\w|w/"
)
#: A word in -s before an object is most likely a verb, too.
WITH_OBJECT = re.compile(r"\b[a-z]{3,}[^\Ws]s (?:an?|the|its|his|her|their|our|my|one|that)\b")
#: Words that point to an earlier sentence.
_CONTINUES = re.compile(
    r"\b(?:also|such|mine|former|latter|the same|all the more|makes it|is more|the others?|thus|"
    r"therefore|however|instead|in addition|for (?:example|instance)|other (?:hand|words))\b|"
    r"\b(?:as well|too)[.!,]|\b(?:about|for|like|of) (?:this|that)[ .!,]|"
    r"\b(?:at|do|does|did|done|got|had|in|of|on|put|saw|seen) (?:it|him|them)\b|"
    r"\b(?:those|these|since then)\b|^one of (?!.*\b(?:is|are|was|were)\b)|"
    r"^the (?:second|third|fourth|fifth|last|other|rest|result|problem|only)\b",
    re.I,
)


def is_statement(text: str) -> bool:
    """Whether a sentence is a plain statement that stands alone.

    Args:
        text: One sentence with its closing mark.
    """
    if text.endswith("?") or _MARKS.search(text) or _CONTINUES.search(text):
        return False
    tokens = _introduced(text.replace("’", "'").split())
    if len(tokens) < 3:
        return False
    capitals = sum(token[0].isupper() for token in tokens)
    if capitals > max(5, len(tokens) // 2):
        return False
    if tokens[0].casefold() == "there":
        return tokens[1] in _AUXILIARIES
    finite = WITH_OBJECT.search(text) or any(is_verb(t.strip(".,!")) for t in tokens[:-1])
    return has_subject(tokens) and bool(finite or tokens[0] in ("I", "We"))


def _introduced(tokens: list[str]) -> list[str]:
    """The words behind an introduction ("In my opinion, …")."""
    if tokens and tokens[0].strip(",").casefold() in _INTRODUCTIONS:
        for place, token in enumerate(tokens[:_LONGEST_INTRODUCTION], start=1):
            if token.endswith(","):
                return tokens[place:]
    return tokens


def has_subject(tokens: list[str]) -> bool:
    """Whether words begin with a subject: a person, a noun behind an article, or a name.

    Args:
        tokens: At least three words, with straight apostrophes and their marks.
    """
    first, second, third = tokens[:3]
    head, after = first.casefold(), second.casefold()
    if _SHORT_FORM.search(head):
        return head.partition("'")[0] in _PERSONS
    if head in _PERSONS:
        return second[0].islower() and second[-1].isalpha()
    if after == "of" and head in _POINTERS:
        return third in ("the", "my", "our")
    if head in _DETERMINERS:
        return after[0].isalnum() and not (head in _POINTERS and is_verb(after))
    if head.removesuffix("'s") in _NO_SUBJECT or is_verb(head) or not first[0].isalpha():
        return False
    if head.endswith("'s") or first in ("Mr.", "Mrs.", "Ms.", "Dr."):
        return True
    if not first.isalpha() or after in _PERSONS:
        return False
    return is_verb(after) or _is_name(second) or (after.endswith("s") and third in _AUXILIARIES)


def is_verb(word: str) -> bool:
    """Whether a word is most likely a finite verb."""
    word = word.casefold()
    return (
        word in _AUXILIARIES
        or word in VERBS
        or _SHORT_FORM.search(word) is not None
        or (len(word) > 4 and word.endswith("ed") and word not in _NOT_PAST)
    )


def _is_name(word: str) -> bool:
    return word[0].isupper() and word[1:].rstrip(",").removesuffix("'s").islower()
