"""Introductions and labels: what chat models write before the answer itself.

"Sure! Here is the completed sentence:" and "**Answer:**" are not part of a continuation. They are
recognised by their form: a phrase of agreement, or words about the task ("sentence", "completed")
before a colon.
"""

from __future__ import annotations

import re

_AGREEMENT = (
    r"(?:sure(?: thing)?|certainly|of course|absolutely|ok(?:ay)?|all ?right|understood|got it|"
    r"no problem|here (?:you go|it is|it goes|goes|we go)|let(?:'s| us) (?:see|go|begin|start)|"
    r"(?:i(?:'d| would) be|i'm) (?:happy|glad|pleased|delighted) to(?: (?:help|assist))?|"
    r"i(?:'d| would) love to(?: help)?)"
)
#: Words about the task that introduce an answer.
_ABOUT = (
    r"sentences?|completions?|completed?|continu(?:e|es|ed|ing|ation|ations)|answers?|responses?|"
    r"outputs?|options?|versions?|suggestions?|possibilit(?:y|ies)|examples?|finish(?:ed|ing)?|"
    r"phrases?|here(?:'s| is| are)|one (?:way|option|idea)|(?:could|might|can|would) (?:say|write|"
    r"be|read)|(?:something )?like this|as follows|final"
)
#: Labels that need no word about the task.
_BARE = (
    r"a|answer|assistant|ai|bot|chatbot|model|system|reply|response|output|result|solution|"
    r"completion|continuation|you|me|human|user|gpt|llama|qwen|gemma|smollm|"
    r"is|reads|(?:would|could|might|should) be"
)
_MARKS = r"[\s\"'“”‘’«»*_`#>~•\-–—(\[{<]*"
_CLOSING = r"[\"'”’»*_`)\]}>]*"
_WORDS = r"(?:[^\s:.!?\n]+[ \t]+){0,16}?"
#: The end of a label: a colon before white space, a quote or the end, or a spaced dash.
_COLON = rf"{_CLOSING}\s*[:：]{_CLOSING}(?=\s|[\"“«『「*_`]|$)\s*"
_DASH = r"\s+[-–—]{1,2}\s+"

_LABEL = re.compile(
    rf"{_MARKS}(?:{_AGREEMENT}\b[,;.!]?\s*)?"
    rf"(?=[^:.!?\n]{{0,160}}?\b(?:{_ABOUT})\b){_WORDS}[^\s:.!?\n]+{_COLON}"
    rf"|{_MARKS}(?:{_BARE})(?:\s*\d+)?{_COLON}"
    rf"|{_MARKS}{_AGREEMENT}\s*(?:,|[-–—]|:)\s+",
    re.IGNORECASE,
)
_ALONE = re.compile(
    rf"{_MARKS}{_AGREEMENT}(?:\s+(?:with (?:that|this)|to (?:help|assist)|you|then|here))?"
    rf"(?:,? (?:{_AGREEMENT}))?{_CLOSING}\s*[.!,;:…]*{_CLOSING}\s*[^\w\s]*",
    re.IGNORECASE,
)
_OFFER = re.compile(
    rf"{_MARKS}(?:{_AGREEMENT}[,!.]?\s+)?(?:"
    r"(?:i(?:'ll| will|'d| would|'ve| have)?|i(?: can| could| am going to|'m going to)|"
    r"let me|let's|allow me to)\s+(?:be happy to |try |try to |like to |now )?"
    r"(?:(?:help|assist)(?: you)?"
    r"(?: with (?:that|this|it|your)\b|(?: to)? (?:complete|finish|continue|fill)\b)"
    r"|(?:complete|completed|finish|finished|continue|continued|fill|filled|provide|write|give|show|"
    r"offer|do)\b(?=[^:.!?\n]*\b(?:(?:the|that|this|your|a|an) (?:sentence|text|phrase|blanks?|"
    r"completion|continuation|answer)|(?:it|that|this) for you)\b))"
    rf"|here(?:'s| is| are)\s+(?=[^:.!?\n]*\b(?:{_ABOUT})\b)"
    rf"|(?:the|this|your|a|one)\s+(?=[^:.!?\n]{{0,80}}\b(?:sentence|completion|continuation|answer)"
    r"\b[^:.!?\n]{0,60}\b(?:is|be|reads?|follows|below|could|would|might)\b[^:.!?\n]{0,24}[:.])"
    r")[^.!?\n]{0,160}[.!:]?\W*",
    re.IGNORECASE,
)
_HEADING = re.compile(
    rf"\s*(?:#{{1,6}}\s+|\*\*|__)[^.!?]{{0,60}}?\b(?:{_ABOUT})\b[^.!?]{{0,40}}", re.IGNORECASE
)
#: A line with only a label or the beginning of an introduction, without a colon.
_BROKEN_LINE = re.compile(
    rf"{_MARKS}(?:(?:answer|assistant|ai|chatbot|model|response|output|completion|continuation)"
    rf"(?:\s*\d+)?{_CLOSING}\s*[-–—=>]*"
    r"|(?:the|this|your|a|one|my)\s+(?=[^.!?\n]{0,80}\b(?:sentence|completion|continuation|answer|"
    r"way|option|possibility)\b)[^.!?\n]{0,100}\b(?:is|be|reads?|follows|sa(?:y|id) is)"
    rf"{_CLOSING})\s*",
    re.IGNORECASE,
)
#: A colon with words after it: these words are not an introduction.
_COLON_BEFORE_WORDS = re.compile(r":\W+[^\W\d_]")
#: What may precede an echo of the control prompt that is not the model's own sentence.
_LEAD = re.compile(
    rf"(?:[:：\"“«『「*_`>=~|(\[]|[-–—])\s*$|\b(?:{_ABOUT})\b|^{_MARKS}{_AGREEMENT}\W*$",
    re.IGNORECASE,
)


def label_end(sentence: str) -> int:
    """Where the answer starts after a label or introduction in the same sentence; 0 without one.

    >>> label_end("**Answer:** painting."), label_end("It is 12:30 now.")
    (12, 0)
    """
    match = _LABEL.match(sentence.replace("’", "'"))
    return match.end() if match else 0


def is_introduction(sentence: str) -> bool:
    """Whether a whole sentence only introduces the next one.

    >>> is_introduction("Sure!"), is_introduction("Here is the completed sentence:")
    (True, True)
    >>> is_introduction("Surely not.")
    False
    """
    plain = sentence.strip().replace("’", "'")
    if _COLON_BEFORE_WORDS.search(plain):
        return False
    return any(form.fullmatch(plain) for form in (_ALONE, _OFFER, _HEADING, _BROKEN_LINE))


def leads_to_echo(text: str) -> bool:
    """Whether the text before an echo introduces it, and is not the beginning of a sentence.

    >>> leads_to_echo("The completed sentence is"), leads_to_echo("He told me that")
    (True, False)
    """
    return _LEAD.search(text.replace("’", "'")) is not None
