"""The first sentence of a text, and when it is known for sure.

The library `sentencex` decides where a sentence ends, but never sees more than a *window*: the
line up to the candidate end and through the start of the next word. Given a whole text, it
revises early boundaries because of characters far behind them (it pairs quotes over the
paragraph, counts their parity, and looks for siblings of list markers), so that no finite prefix
of a generation would ever be certain. A window that lies inside the text cannot change when text
is appended, and neither can a decision made on it. That is the contract of this module:

    once `is_complete(t)` holds, `first_sentence(t + s) == first_sentence(t)` for every `s`,

and likewise for :class:`exleak.answers.FirstSentence`. A line break after some content always ends
the sentence: models write lists and dialogues one to a line.
"""

from __future__ import annotations

import re
from itertools import accumulate

import sentencex

from exleak.surrogates import replace_surrogates

_EMOJI = "\u231a-\u23ff\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"
EMOJI = re.compile(f"[{_EMOJI}]")
CONTENT = re.compile(rf"[^\W\d_]|[{_EMOJI}]")
_WHITE_SPACE = re.compile(r"\s")
_WORD_CHARACTER = re.compile(r"\w")

_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
TERMINATORS = ".!?…։؟۔।॥၊။።‼‽⁇⁈⁉。．｡！？"
_LINE_BREAK = re.compile(f"[{_BREAKS}]")
MAY_END = re.compile(f"[{TERMINATORS}{_BREAKS}]")
# A quote opens only where a word could start, and a bracket behind a colon is a face.
_STOP = re.compile(
    rf"(?P<end>[{TERMINATORS}]+)|(?P<open>(?<![^\s(\[*_—–-])[\"“«「『](?=\S)|(?<![:;=\-'])[(\[])"
)
# What belongs to the sentence behind its terminator: closing marks, then emoji.
_TRAILER = re.compile(
    rf"(?:[\"'”’)\]»」』*_]+(?!\w))?(?:\s*[{_EMOJI}][{_EMOJI}\ufe0f\u200d\U000e0020-\U000e007f]*)*"
)
CLOSER = dict(zip("\"“«「『([*_'‘", "\"”»」』)]*_'’", strict=True))
_SPAN_LIMIT = 160
_LOOKAHEAD = 30


def first_sentence(text: str) -> str:
    """The first sentence of a text that holds a letter or an emoji, without outer white space.

    Leading lines that hold neither are dropped, and leading list numbers and dots end no sentence.
    A text that has neither is returned whole.

    >>> first_sentence("Dr. Smith went home. Then he slept.")
    'Dr. Smith went home.'
    """
    start, end, _ = span(text)
    return text[start:end].strip()


def is_complete(text: str) -> bool:
    """Whether no continuation of `text` can change its first sentence.

    A text that ends in U+FFFD may end in half a character, and is never complete.

    >>> is_complete("She paints."), is_complete("She paints. H")
    (False, True)
    """
    return may_be_complete(text) and span(text)[2]


def may_be_complete(text: str) -> bool:
    """Whether a text holds something that ends sentences, and no half character at its end."""
    return MAY_END.search(text) is not None and not text.endswith("\ufffd")


def may_end(piece: str) -> bool:
    """Whether a piece of text holds anything without which no sentence is complete.

    A piece with U+FFFD may hold half of such a character. While none of its pieces may end it,
    a text need not be asked :func:`is_complete`.
    """
    return not piece or "\ufffd" in piece or MAY_END.search(piece) is not None


def is_settled(text: str) -> bool:
    """Whether the end of a text means what it does whatever follows: that of "Mr." does not.

    >>> is_settled("home. T"), is_settled("home.")
    (True, False)
    """
    return not text.endswith(tuple(TERMINATORS))


def is_usable(sentence: str) -> bool:
    """Whether a sentence holds anything to score: a letter or an emoji."""
    return CONTENT.search(sentence) is not None


def span(text: str, begin: int = 0) -> tuple[int, int, bool]:
    """Where the first sentence behind `begin` starts and ends, and whether that is certain.

    It is certain where appended text can change it no more. Without content all the rest is one.
    """
    content = CONTENT.search(text, begin)
    if content is None:
        return begin, len(text), False
    after = _LINE_BREAK.search(text, content.start())
    start = line_start(text, begin, content.start())
    line = text[start : after.start() if after else len(text)]
    end, certain = _end(line, content.start() - start, after is not None)
    return start, start + end, certain


def line_start(text: str, begin: int, position: int) -> int:
    """Where the line that holds `position` starts, at `begin` or behind it."""
    breaks = _LINE_BREAK.finditer(text, begin, position)
    return max((found.end() for found in breaks), default=begin)


def _end(line: str, content: int, closed: bool) -> tuple[int, bool]:
    """Where the first sentence of `line` ends, its first letter or emoji being at `content`.

    `closed` tells that the line is whole; if so, its end is certain too.
    """
    position, certain = 0, True
    while (stop := _STOP.search(line, position)) is not None:
        start, position = stop.start(), stop.end()
        if stop.group("open"):
            closer, known = _span(line, stop, closed)
            certain &= known
            if closer < 0:
                continue
            start, position = len(line[:closer].rstrip("'’*_")) - 1, closer + 1
            if line[start] not in TERMINATORS:
                continue
        if start < content:
            continue
        if trailer := _TRAILER.match(line, position):
            position = trailer.end()
        ends, known = _decide(line, start, position, closed)
        certain &= known
        if ends:
            return position, certain
    return len(line), closed


def _span(line: str, opener: re.Match[str], closed: bool) -> tuple[int, bool]:
    """The index of what closes a quote or bracket (-1: nothing does), and whether it is certain.

    No sentence ends within quotes or brackets. A mark that is not closed soon is a stray one, or
    a single quote without its partner would keep a row going until its last token.
    """
    limit = opener.end() + _SPAN_LIMIT
    index = line.find(CLOSER[opener.group()], opener.end(), limit)
    return index, closed or index >= 0 or len(line) >= limit


def _decide(line: str, start: int, end: int, closed: bool) -> tuple[bool, bool]:
    """Whether the terminator at `start` ends a sentence, and whether that is certain.

    The first character of the next word settles it unless an abbreviation precedes; then the
    whole next word is needed ("a Ph.D. Then" ends a sentence, "a Ph.D. Thesis" does not).
    """
    found = _WORD_CHARACTER.search(line, end, end + _LOOKAHEAD)
    if found is None:
        stop = end + _LOOKAHEAD
        full = len(line) >= stop
        return full and _breaks(line, start, stop - 1, stop), full or closed
    word, stop = found.start(), found.end()
    if _breaks(line, start, word, stop):
        return True, True
    limit = word + _LOOKAHEAD
    while stop < limit and _WORD_CHARACTER.match(line, stop):
        stop += 1
    return _breaks(line, start, word, stop), closed or stop < len(line) or stop == limit


def _breaks(line: str, start: int, word: int, stop: int) -> bool:
    """Whether sentencex, given `line[:stop]`, begins a sentence behind `start`, up to `word`."""
    head, gap, rest = line[:start], line[start:word], line[word:stop]
    if not line.isascii():
        # sentencex does not know the one-character ellipsis, and 1.0.32 panics on "J\u00a0.".
        head, gap, rest = (
            replace_surrogates(_WHITE_SPACE.sub(" ", part).replace("…", "..."))
            for part in (head, gap, rest)
        )
    first, last = len(head), len(head) + len(gap)
    sentences = sentencex.segment("en", head + gap + rest)
    return any(first < end <= last for end in accumulate(map(len, sentences)))
