"""Named text filters that reject unsuitable sentences, by word lists and regular expressions.

They are cheap and catch obvious cases only, not those that need an understanding of the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from exleak.aexl.blocked import is_blocked
from exleak.aexl.context import is_fragment, needs_context
from exleak.aexl.statements import is_statement, word_set


class Limits(Protocol):
    """The settings of a recipe (:class:`exleak.aexl.recipe.Recipe`) that the filters use."""

    @property
    def min_words(self) -> int:
        """Minimum number of words of a sentence."""

    @property
    def max_words(self) -> int:
        """Maximum number of words of a sentence."""

    @property
    def filters(self) -> tuple[str, ...]:
        """Names of the filters to use."""


#: The text filters that reject what does not stand alone.
STATEMENT, CONTEXT = "statement", "context"
#: The filters that are applied after labelling (:mod:`exleak.aexl.moods`).
MIXED, WEAK = "mixed mood", "weak mood"
#: What is used last, not rejected (:mod:`exleak.aexl.judging`).
UNSURE = "unsure"

_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")

_MOJIBAKE = re.compile(
    "[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|Ã[\x80-\xbf©¨¼¶¤]|â€|Â[ \u00a0]"
)
_BEGINS = re.compile(r"[\"'“‘(]?[A-Z0-9]")
_ENDS = re.compile(r"(?<![.…])[.!?][\"'”’)]?$")
_INSIDE = re.compile(r"[.!?…][\"'”’)]*\s+[\"'“‘(]?[A-Z]")
_TITLE = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|Prof|St|Sr|Jr|Gen|Col|Lt|Rev|Sen|Gov|[A-Z])\.")
#: An abbreviation at the end, where the sentence was most likely cut.
_CUT = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|Gov|Sen|Rep|Gen|St|No|vs|[A-Z])|\.[A-Z])\.$")
_UNBALANCED = (("(", ")"), ("[", "]"), ("“", "”"))

_LINK = re.compile(
    r"https?:|www\.|\bftp:|\b[\w-]+\.(?:com|org|net|edu|gov|info|io|co\.uk|html?|php)\b", re.I
)
_MARKUP = re.compile(
    r"</?[a-z!][^>]*>|&(?:[a-z]{2,8}|#\d+);|\[\[|\]\]|\{|\}|\]\(|\*\*|__|```|~~|^\s*(?:#{1,6}\s|>|"
    r"[-*•|]\s)|\s\|\s|[a-z]\([a-z]*\)|[;=]{2,}|=>|\\[a-z]|^\W*\d+[.)]\s",
    re.I,
)
_BOILERPLATE = re.compile(
    r"\b(?:click (?:here|on|the)|read more|learn more|find out more|sign (?:up|in)\b|log (?:in|out)"
    r"\b|subscribe|unsubscribe|newsletter|cookies?\b.*\b(?:use|accept|site|browser)|(?:use|accept)"
    r"s?\b.*\bcookies|all rights reserved|copyright|privacy policy|terms (?:of (?:use|service)|and "
    r"conditions)|this (?:website|site|page|article|post|blog)\b|(?:our|my) (?:website|site|blog)\b"
    r"|add to (?:cart|basket)|free shipping|in stock|javascript|posted (?:by|on|in)|share this|"
    r"leave a (?:comment|reply)|follow us|like us on|lorem ipsum|skip to|back to top|powered by|"
    r"contact us|call (?:us|now|today)|order now|buy now|page \d+|see (?:figure|table|fig)\b|"
    r"(?:photo|image|advertisement)\s*:)",
    re.I,
)
_TELLING = re.compile(r"[@\d]|number")
_PERSONAL = re.compile(
    r"[\w.+-]+@[\w-]+\.\w|(?<!\w)@\w{2,}|(?<!\d)(?:\+?\d[\d() ./-]{7,}\d)(?!\d)|"
    r"\b\d{3}-\d{2}-\d{4}\b|\b[A-Z]{2}\d{2}(?: ?\w{4}){3,}\b|\b(?:\d{1,3}\.){3}\d{1,3}\b|"
    r"\b\d{1,5}\s+(?:[A-Z]\w+\s+){1,3}(?:Street|St|Road|Rd|Avenue|Ave|Lane|Drive|Dr|Boulevard|"
    r"Blvd)\b|\b[A-Z]{1,2}\d{1,2}[A-Z]?\s\d[A-Z]{2}\b|\b(?:passport|social security) number\b"
)


#: English function words; a text without any is most likely not English.
FUNCTION_WORDS = word_set(
    "the a an and or but of to in on at by for with from into is are was were be been has have had "
    "will would can could may do does did not it its this that these those he she they we you i "
    "his her their our my your him them us me as if when than then there who which what how so "
    "all no some any more most very just about after before over up out"
)
_FOREIGN_WORDS = word_set(
    "der die das und ist nicht ein eine mit auf für von dem den zu sich le la les des et est une "
    "un du dans pour que qui pas sur el los las es por con para una del se il di che non per "
    "sono della gli het een van niet zijn op voor och att det som är inte jag og ikke til o os "
    "da em não uma na"
)


def words(text: str) -> list[str]:
    """The words of a text, in lower case."""
    return _WORD.findall(text.lower())


def _encoding(text: str, recipe: Limits) -> bool:
    return _MOJIBAKE.search(text) is not None


def _length(text: str, recipe: Limits) -> bool:
    return not recipe.min_words <= len(text.split()) <= recipe.max_words


def _sentence(text: str, recipe: Limits) -> bool:
    """Not exactly one complete sentence."""
    if not _BEGINS.match(text) or not _ENDS.search(text) or _CUT.search(text):
        return True
    pairs = any(text.count(opens) != text.count(closes) for opens, closes in _UNBALANCED)
    if pairs or text.count('"') % 2:
        return True
    return _INSIDE.search(_TITLE.sub("", text)) is not None or text.upper() == text


def _language(text: str, recipe: Limits) -> bool:
    """Not English: foreign letters, no English function word, or more foreign ones."""
    if not text.isascii():
        letters = [character for character in text if character.isalpha()]
        foreign = sum(not character.isascii() for character in letters)
        if foreign > 0.05 * len(letters):
            return True
    words_of_text = words(text)
    english = sum(word in FUNCTION_WORDS for word in words_of_text)
    return english == 0 or sum(word in _FOREIGN_WORDS for word in words_of_text) > english


def _statement(text: str, recipe: Limits) -> bool:
    """Not a plain statement; with the filter "unsure", one need not stand alone."""
    return not is_statement(text, alone=UNSURE not in recipe.filters)


def _context(text: str, recipe: Limits) -> bool:
    """A fragment; without the filter "unsure", what is not understood alone, too."""
    return is_fragment(text) or (UNSURE not in recipe.filters and needs_context(text))


def depends_on(text: str, recipe: Limits) -> str | None:
    """The name of the filter by which a sentence is not understood alone, ``None`` if it is."""
    if STATEMENT in recipe.filters and not is_statement(text):
        return STATEMENT
    return CONTEXT if CONTEXT in recipe.filters and needs_context(text) else None


def _toxic(text: str, recipe: Limits) -> bool:
    return is_blocked(words(text))


def _personal(text: str, recipe: Limits) -> bool:
    # Few sentences match the short pattern, so the long one is rarely tried.
    return _TELLING.search(text) is not None and _PERSONAL.search(text) is not None


def _pattern(pattern: re.Pattern[str]) -> Callable[[str, Limits], bool]:
    return lambda text, recipe: pattern.search(text) is not None


#: The text filters in order; a sentence is counted for the first one that rejects it.
TEXT_FILTERS: Mapping[str, Callable[[str, Limits], bool]] = {
    "encoding": _encoding,
    "length": _length,
    "personal": _personal,
    "link": _pattern(_LINK),
    "markup": _pattern(_MARKUP),
    "boilerplate": _pattern(_BOILERPLATE),
    "language": _language,
    "sentence": _sentence,
    "toxic": _toxic,
    STATEMENT: _statement,
    CONTEXT: _context,
}
FILTERS = (*TEXT_FILTERS, MIXED, WEAK, UNSURE)


def rejected_by(text: str, recipe: Limits) -> str | None:
    """The name of the first text filter that rejects a sentence, ``None`` if it passes all."""
    for name, rejects in TEXT_FILTERS.items():
        if name in recipe.filters and rejects(text, recipe):
            return name
    return None
