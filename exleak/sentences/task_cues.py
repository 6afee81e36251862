"""Weak signs of talk about the task: none of them decides alone, several of them together do.

"This requires some clarification and context" points at a text, and has two nouns that are used of
texts. A story has such words only singly.
"""

from __future__ import annotations

import re

#: Only the first words of a sentence count: a long sentence has all kinds of words.
_WORDS = re.compile(r"\W*(?:\S+\s+){0,15}\S*")
#: Threshold for the sum of the signs' weights.
_ENOUGH = 2.0
#: Nouns for texts, their parts, and operations on them.
_NOUNS = (
    r"sentence|phrase|word|paragraph|clause|passage|wording|grammar|punctuation|spelling|grammatical|"
    r"context|translation|interpretation|clarification|clarity|meaning|completion|continuation|"
    r"prompt|request|instruction|assumption|correction|revision|adjective|adverb|noun|verb|"
    r"subject|tense|narrative|statement|response|answer|question|example|description|perspective|"
    r"topic|scenario|summary|blank|details?|information|suggestion|option|version|metaphor|imagery|"
    r"tone|language|english|ambigu\w+|concept|format|line|task|essay|text|character|story|scene"
)
_NOUN = re.compile(rf"\b({_NOUNS})s?\b", re.IGNORECASE)
#: Verbs and adjectives for work on texts: "I added", "has been rewritten".
_EDITING = re.compile(
    r"\b(?:add(?:ed|ing)?|adjust\w*|assum(?:e|ed|ing)|capture[sd]?|clarif\w+|complet(?:e|ed|ing)|"
    r"convey\w*|correct(?:ed|ing)?|describ\w+|edit\w*|emphasi[sz]\w+|express(?:es|ed)?|fill\w*|"
    r"impl(?:y|ies|ied)|improv\w+|interpret\w*|mean(?:s|t)?|mention\w*|modif\w+|paraphras\w+|provid\w+|phrase|say|split|"
    r"refer\w*|rephras\w+|replac\w+|requested|requires?|revis\w+|rewrit\w+|rewrote|suggest\w*|translat\w+|"
    r"written|wrote|processed|understand|incomplete|unclear|unrelated|available|decline|cannot)\b",
    re.IGNORECASE,
)
_POINTING = re.compile(
    r"^\W*(?:(?:yes|no|well|so|oh|okay|but|and),? )?"
    r"(?:this|these|here|there(?:'s| is| are| isn't| seems?)|"
    r"that(?:'s| is| was| seems?| sounds?| doesn't)|"
    r"it(?:'s| is| seems?| sounds?| looks?| appears?))\b"
    r"|\b(?:above|below|previous|following|given|original|provided)\b",
    re.IGNORECASE,
)
_FIRST = re.compile(
    r"^\W*(?:[a-z]+,? ){0,2}(?:i|i'm|i've|i'll|i'd|we|we'll|we've|let me|my)\b", re.I
)
_SECOND = re.compile(r"\b(?:you|your|you're|you've|you'll|you'd|yours)\b", re.IGNORECASE)
_ASKS = re.compile(r"\?\W*$")
_MENTIONS = re.compile(r"[\"“'‘`]\w+[\"”'’`,.]+ (?:is|are|was|should|could|to|with|means|and|as)\b")


def task_cues(sentence: str, prompt: str = "") -> bool:
    """Whether a sentence has enough weak signs of talk about the task.

    Args:
        sentence: The sentence, in English, with plain apostrophes.
        prompt: The prompt that it answers; nouns for texts in it do not count.

    >>> task_cues("This requires some clarification and context.")
    True
    >>> task_cues("The question was not easy.")
    False
    """
    theirs = {noun.lower() for noun in _NOUN.findall(prompt)}
    sentence = _beginning(sentence)
    nouns = {noun.lower() for noun in _NOUN.findall(sentence)} - theirs
    first = _FIRST.search(sentence) is not None
    pointing = _POINTING.search(sentence) is not None
    mentions = _MENTIONS.search(sentence) is not None
    second = bool(_SECOND.search(sentence))
    signs = (
        min(len(nouns), 2) * 0.75
        + 0.75 * (_EDITING.search(sentence) is not None)
        + 0.75 * pointing
        + 0.5 * first
        + 0.75 * second
        + 0.75 * (second and _ASKS.search(sentence) is not None)
        + 0.75 * mentions
    )
    speaks = pointing or first or second or mentions
    return speaks and bool(nouns) and signs >= _ENOUGH


def _beginning(sentence: str) -> str:
    match = _WORDS.match(sentence)
    return match.group() if match else sentence
