"""What a plain statement looks like: it begins with its subject, and has a finite verb.

Text of the web and of newspapers is full of questions, orders, headings and sentences that need
their context. These are word lists without a parser: they let through only beginnings that they
know, so a text also loses good sentences here. A statement that goes on with an earlier sentence
("Unfortunately, they were very rude.") is a complete one, but does not stand alone.
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
#: Marks that do not end in a complete sentence, either.
_BREAKS = re.compile(
    r"[()\[\]\"“”:*/=+~<>_…]|''|\.\.|[a-z][.!?,][A-Za-z]|\s[.!?,]|\si\s|\?[?!]|!\?|(?:^|\s)'\w|w/"
)
#: Words before the subject of a statement that goes on with what was said before.
_LINKS = word_set(
    "also then now still yet and but so or unfortunately sadly fortunately luckily thankfully "
    "overall clearly obviously actually basically however therefore thus moreover besides finally "
    "once anyway yes no yeah well nevertheless happily indeed"
)
#: Subjects that stand for something said before.
_PRONOUNS = word_set("it they that those these there here") | _POINTERS
_PRONOUN_SHORT = re.compile(r"(?:it|they|that|there|this|here)'(?:s|re|ve|ll|d)", re.I)
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


def is_statement(text: str, *, alone: bool = True) -> bool:
    """Whether a sentence is a plain statement.

    >>> is_statement("The food was cold."), is_statement("Also, they were rude!!")
    (True, False)
    >>> is_statement("Also, they were rude!!", alone=False)
    True

    Args:
        text: One sentence with its closing mark.
        alone: Whether it must stand alone. Otherwise it may begin with a pronoun or a linking
            word, point to an earlier sentence, and have dashes and repeated marks.
    """
    marks = _MARKS if alone else _BREAKS
    if text.endswith("?") or marks.search(text) or (alone and _CONTINUES.search(text)):
        return False
    tokens = _introduced(_tokens(text)) if alone else main_clause(text)
    if len(tokens) < 3:
        return False
    capitals = sum(token[0].isupper() for token in tokens)
    if capitals > max(5, len(tokens) // 2):
        return False
    if tokens[0].casefold() == "there" and alone:
        return tokens[1] in _AUXILIARIES
    if not alone and _has_verb_early(tokens):
        return True
    finite = WITH_OBJECT.search(text) or any(is_verb(t.strip(".,!")) for t in tokens[:-1])
    return has_subject(tokens) and bool(finite or tokens[0] in ("I", "We"))


def _unlinked(tokens: list[str]) -> list[str]:
    """The words behind linking words, the first of them with a capital ("Also, the food …")."""
    while tokens and tokens[0].strip(",").casefold() in _LINKS:
        tokens = tokens[1:]
    return [tokens[0][0].upper() + tokens[0][1:], *tokens[1:]] if tokens else []


def _has_verb_early(tokens: list[str]) -> bool:
    """Whether words begin with a pronoun and its verb, or any noun soon followed by a "be"."""
    head = tokens[0].casefold()
    if _PRONOUN_SHORT.fullmatch(head):
        return True
    if head in _PRONOUNS:
        return any(map(is_verb, tokens[1:3]))
    if head in _NO_SUBJECT or is_verb(head) or not head.isalpha():
        return False
    return any(token.casefold() in _AUXILIARIES for token in tokens[1:4])


def main_clause(text: str) -> list[str]:
    """The words of a sentence behind introductions and linking words ("Then, last week, I …")."""
    return _unlinked(_introduced(_unlinked(_tokens(text))))


def _tokens(text: str) -> list[str]:
    return text.replace("’", "'").split()


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
