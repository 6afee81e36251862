"""The first sentence of a text, and when it is certain.

The library `sentencex` decides where a sentence ends, but only ever sees a *window*: the line up to
the candidate end and through the start of the next word. Given a whole text, it revises early
boundaries because of characters far after them (it pairs quotes over the paragraph, counts their
parity, and looks for siblings of list markers), so no finite prefix of a generation would ever be
certain. A window inside the text does not change when text is appended, and neither does a decision
based on it. This is the contract of this module:

    once `is_complete(t)` holds, `first_sentence(t + s) == first_sentence(t)` for every `s`,

and likewise for :class:`exleak.sentences.answers.FirstSentence`. A line break after some content
always ends the sentence: models write lists and dialogues with one item per line.
"""

from __future__ import annotations

import re
from itertools import accumulate

import sentencex

from exleak.languages import ENGLISH
from exleak.surrogates import replace_surrogates

_EMOJI = "\u231a-\u23ff\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"
EMOJI = re.compile(f"[{_EMOJI}]")
CONTENT = re.compile(rf"[^\W\d_]|[{_EMOJI}]")
_WHITE_SPACE = re.compile(r"\s")
_WORD_CHARACTER = re.compile(r"\w")


def _spell(ranges: str) -> str:
    """The characters of a character class, one by one."""
    found = re.findall(r"(.)-(.)|(.)", ranges)
    return "".join(
        single or "".join(map(chr, range(ord(low), ord(high) + 1))) for low, high, single in found
    )


_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
# Sentence terminators of scripts that sentencex does not know; they have no other use.
_FINAL = (
    "\u037e\u061d\u061e\u0700-\u0702\u07f9\u0837\u0839\u083d\u083e\u0f0d-\u0f11\u1362\u1367\u1368"
    "\u166e\u1735\u1736\u17d4\u17d5\u1803\u1809\u1944\u1945\u1aa8-\u1aab\u1b5a\u1b5b\u1b5e\u1b5f"
    "\u1c3b\u1c3c\u1c7e\u1c7f\u2cf9-\u2cfb\u2e2e\u2e3c\u2e53\u2e54\ua4ff\ua60e\ua60f\ua6f3\ua6f7"
    "\ua876\ua877\ua8ce\ua8cf\ua92f\ua9c8\ua9c9\uaa5d-\uaa5f\uaaf0\uaaf1\uabeb"
)
TERMINATORS = ".!?…⋯‥։؟۔।॥။‼‽⁇⁈⁉。．｡！？" + _spell(_FINAL)
_GREEK = "\u0370-\u037d\u037f-\u03ff\u1f00-\u1fff"
_LINE_BREAK = re.compile(f"[{_BREAKS}]")
MAY_END = re.compile(f"[{TERMINATORS};{_BREAKS}]")
_IS_FINAL = re.compile(f"[{_FINAL};]")
# A quote opens only where a word could start, which is anywhere in scripts without spaces. A
# bracket after a colon is an emoticon. A semicolon after a Greek letter is a question mark.
_NO_SPACES = "\u3001-\u303f\u3040-\u30ff\u4e00-\u9fff\uff0c\uff1a"
_STOP = re.compile(
    rf"(?P<end>[{TERMINATORS}]+|(?<=[{_GREEK}]);)"
    rf"|(?P<open>(?<![^\s(\[*_—–\-{_NO_SPACES}])[\"“«»„‚‹›](?=\S|[ \u00a0\u202f]\w)"
    r"|[「『｢（【《〈〔]|(?<![:;=\-'])[(\[{])"
)
_CLOSING_BRACKETS = re.compile(r"[)\]}）】》〉〕｣]+")
# "… he said" in Japanese: the particle that follows a quote within a sentence.
_QUOTED = re.compile(r"[」』]\s*\Z")
_PARTICLES = ("と", "っ")
# What belongs to the sentence after its terminator: closing marks, then emoji.
_TRAILER = re.compile(
    r"(?:[」』｣）】》〉〕]+|(?:[ \u00a0\u202f](?=[»›]))?[\"'”’“‘)\]}»«›‹*_]+(?!\w))?"
    rf"(?:\s*[{_EMOJI}][{_EMOJI}\ufe0f\u200d\U000e0020-\U000e007f]*)*"
)
#: Closing marks by opening mark.
CLOSER = {
    **dict(zip("\"“«»‹›「『｢（【《〈〔([{*_'‘", "\"”»«›‹」』｣）】》〉〕)]}*_'’", strict=True)),
    "„": "“”",
    "‚": "‘’",
}
_INNER_MARKS = " \u00a0\u202f'\"”’»*_"
# Languages that write an ordinal number with a period ("im 2. Stock").
_WITH_ORDINALS = frozenset("cs da de et fi hr hu is lv nb nn no pl sk sl sr".split())  # noqa: SIM905
_ORDINAL = re.compile(r"(?<![\d.,:])\d{1,2}\Z")
_SPAN_LIMIT = 160
_LOOKAHEAD = 30
_ELLIPSES = str.maketrans(dict.fromkeys("…⋯‥", "..."))


def first_sentence(text: str, language: str = ENGLISH) -> str:
    """The first sentence of a text that holds a letter or an emoji, without outer white space.

    Leading lines with neither are dropped, and leading list numbers and dots do not end a sentence.
    A text with neither is returned whole.

    >>> first_sentence("Dr. Smith went home. Then he slept.")
    'Dr. Smith went home.'
    >>> first_sentence("Am 3. Mai ging er. Dann", "de"), first_sentence("Am 3. Mai ging er. Dann")
    ('Am 3. Mai ging er.', 'Am 3.')
    """
    start, end, _ = span(text, language=language)
    return text[start:end].strip()


def is_complete(text: str, language: str = ENGLISH) -> bool:
    """Whether no continuation of `text` can change its first sentence.

    A text that ends in U+FFFD may end in an incomplete character, and is never complete.

    >>> is_complete("She paints."), is_complete("She paints. H")
    (False, True)
    """
    return may_be_complete(text) and span(text, language=language)[2]


def may_be_complete(text: str) -> bool:
    """Whether a text has a possible sentence end and does not end in an incomplete character."""
    return MAY_END.search(text) is not None and not text.endswith("\ufffd")


def may_end(piece: str) -> bool:
    """Whether a piece of text may hold a character that ends a sentence.

    A piece with U+FFFD may hold a part of such a character. If no piece of a text may end a
    sentence, calling :func:`is_complete` is unnecessary.
    """
    return not piece or "\ufffd" in piece or MAY_END.search(piece) is not None


def is_settled(text: str) -> bool:
    """Whether the end of a text is unambiguous: after "Mr.", it depends on the text that follows.

    >>> is_settled("home. T"), is_settled("home.")
    (True, False)
    """
    return not text.endswith((*TERMINATORS, ";"))


def is_usable(sentence: str) -> bool:
    """Whether a sentence holds anything to score: a letter or an emoji."""
    return CONTENT.search(sentence) is not None


def span(text: str, begin: int = 0, language: str = ENGLISH) -> tuple[int, int, bool]:
    """Where the first sentence after `begin` starts and ends, and whether that is certain.

    It is certain if appended text can no longer change it. Without content, the rest of the text
    is one sentence. The language is an ISO 639 code.
    """
    content = CONTENT.search(text, begin)
    if content is None:
        return begin, len(text), False
    after = _LINE_BREAK.search(text, content.start())
    start = line_start(text, begin, content.start())
    line = text[start : after.start() if after else len(text)]
    end, certain = _end(line, content.start() - start, after is not None, language)
    return start, start + end, certain


def line_start(text: str, begin: int, position: int) -> int:
    """Where the line that holds `position` starts, but not before `begin`."""
    breaks = _LINE_BREAK.finditer(text, begin, position)
    return max((found.end() for found in breaks), default=begin)


def _end(line: str, content: int, closed: bool, language: str) -> tuple[int, bool]:
    """Where the first sentence of `line` ends; its first letter or emoji is at `content`.

    If `closed`, the line is complete and its end is certain too.
    """
    position, certain = 0, True
    while (stop := _STOP.search(line, position)) is not None:
        start, position = stop.start(), stop.end()
        if stop.group("open"):
            closer, known = _span(line, stop, closed)
            certain &= known
            if closer < 0:
                continue
            start, position = len(line[:closer].rstrip(_INNER_MARKS)) - 1, closer + 1
            if start < 0 or line[start] not in TERMINATORS:
                continue
        if start < content:
            continue
        if trailer := _TRAILER.match(line, position):
            position = trailer.end()
        ends, known = _decide(line, start, position, closed, language)
        certain &= known
        if ends:
            return position, certain
    return len(line), closed


def _span(line: str, opener: re.Match[str], closed: bool) -> tuple[int, bool]:
    """The index of the mark that closes a quote or bracket (-1: none), and whether it is certain.

    No sentence ends within quotes or brackets. A mark that is not closed soon counts as stray;
    otherwise an unpaired quote would keep a row running until its last token.
    """
    limit = opener.end() + _SPAN_LIMIT
    found = [line.find(closer, opener.end(), limit) for closer in CLOSER[opener.group()]]
    index = min((place for place in found if place >= 0), default=-1)
    return index, closed or index >= 0 or len(line) >= limit


def _decide(line: str, start: int, end: int, closed: bool, language: str) -> tuple[bool, bool]:
    """Whether the terminator at `start` ends a sentence, and whether that is certain.

    The first character of the next word settles it unless an abbreviation precedes; then the
    whole next word is needed ("a Ph.D. Then" ends a sentence, "a Ph.D. Thesis" does not).
    """
    match = _WORD_CHARACTER.search(line, end, end + _LOOKAHEAD)
    if match is None:
        stop = end + _LOOKAHEAD
        full = len(line) >= stop
        return full and _breaks(line, start, stop - 1, stop, language), full or closed
    word, stop = match.start(), match.end()
    if _breaks(line, start, word, stop, language):
        return True, True
    limit = word + _LOOKAHEAD
    while stop < limit and _WORD_CHARACTER.match(line, stop):
        stop += 1
    ends = _breaks(line, start, word, stop, language)
    return ends, closed or stop < len(line) or stop == limit


def _breaks(line: str, start: int, word: int, stop: int, language: str) -> bool:
    """Whether sentencex, given `line[:stop]`, begins a sentence after `start`, up to `word`."""
    head, gap, rest = line[:start], line[start:word], line[word:stop]
    if _IS_FINAL.match(gap):
        return True
    if language in _WITH_ORDINALS and line[start] == "." and _ORDINAL.search(head):
        return False
    if rest.startswith(_PARTICLES) and _QUOTED.search(gap):
        return False
    if not line.isascii():
        # sentencex does not know the one-character ellipsis, and 1.0.32 panics on "J\u00a0.".
        head, gap, rest = (
            replace_surrogates(_WHITE_SPACE.sub(" ", part).translate(_ELLIPSES))
            for part in (head, gap, rest)
        )
    if _begins(head, gap, rest, language):
        return True
    # sentencex ends no sentence before a closing bracket.
    open_gap = _CLOSING_BRACKETS.sub("", gap)
    return open_gap != gap and not rest[0].islower() and _begins(head, open_gap, rest, language)


def _begins(head: str, gap: str, rest: str, language: str) -> bool:
    first, last = len(head), len(head) + len(gap)
    sentences = sentencex.segment(language, head + gap + rest)
    return any(first < end <= last for end in accumulate(map(len, sentences)))
