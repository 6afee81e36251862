"""The sentence that is scored: the first one of a generation, without any echo of the prompt.

The library `sentencex` decides where a sentence ends, but never sees more than a *window*: the
line up to the candidate end and through the start of the next word. Given a whole text, it
revises early boundaries because of characters far behind them (it pairs quotes over the
paragraph, counts their parity, and looks for siblings of list markers), so that no finite prefix
of a generation would ever be certain. A window that lies inside the text cannot change when text
is appended, and neither can a decision made on it. That is the contract of this module:

    once `is_complete(t)` holds, `first_sentence(t + s) == first_sentence(t)` for every `s`,

and likewise for `FirstSentence`. A line break after some content always ends the sentence: models
write lists and dialogues one to a line.
"""

from __future__ import annotations

import re
from itertools import accumulate, pairwise
from typing import NamedTuple

import sentencex

from exleak.surrogates import replace_surrogates

_EMOJI = "\u231a-\u23ff\u2600-\u27bf\u2b1b\u2b1c\u2b50\u2b55\U0001f000-\U0001faff"
_EMOJI_CHARACTER = re.compile(f"[{_EMOJI}]")
_CONTENT = re.compile(rf"[^\W\d_]|[{_EMOJI}]")
_WHITE_SPACE = re.compile(r"\s")
_WORD_CHARACTER = re.compile(r"\w")

_BREAKS = r"\n\r\v\f\x1c-\x1e\x85\u2028\u2029"
_TERMINATORS = ".!?…։؟۔।॥၊။።‼‽⁇⁈⁉。．｡！？"
_LINE_BREAK = re.compile(f"[{_BREAKS}]")
_MAY_END = re.compile(f"[{_TERMINATORS}{_BREAKS}]")
# A quote opens only where a word could start, and a bracket behind a colon is a face.
_STOP = re.compile(
    rf"(?P<end>[{_TERMINATORS}]+)|(?P<open>(?<![^\s(\[*_—–-])[\"“«「『](?=\S)|(?<![:;=\-'])[(\[])"
)
# What belongs to the sentence behind its terminator: closing marks, then emoji.
_TRAILER = re.compile(
    rf"(?:[\"'”’)\]»」』*_]+(?!\w))?(?:\s*[{_EMOJI}][{_EMOJI}\ufe0f\u200d\U000e0020-\U000e007f]*)*"
)
_CLOSER = dict(zip("\"“«「『([*_'‘", "\"”»」』)]*_'’", strict=True))
_SPAN_LIMIT = 160
_LOOKAHEAD = 30

_WORD = re.compile(r"[^\W_]+(?:['’ʼ][^\W_]+)*")
# What may follow the last word of a text that is still being written without ending that word.
_UNFINISHED = ("", "'", "’", "ʼ", "-")
_LIST_MARKER = re.compile(r"\s*(?:\d{1,3}[.)]|[-*•])\s+")
_HYPHENATED = re.compile(r"-\w")
# Models that were trained to reason may write a thought before they answer.
_TAG = r"\s*<(think|thinking|thought|reasoning)>"
_THOUGHT = re.compile(_TAG, re.IGNORECASE)
_OPENED = re.compile(rf"{_TAG}\s*\Z", re.IGNORECASE)
# What closes an echo or stands between it and the answer: quotes, dots, a gap to fill in, a dash.
_SEPARATOR = re.compile(
    r"[\"'”’)\]»*]*(?:[.…:,;!?](?!\d))*[\"'”’)\]»*]*(?:\s|[.…:,;](?!\d)|_{2,}|[-–—](?=[\s–—-]))*"
)


def first_sentence(text: str) -> str:
    """The first sentence of a text that holds a letter or an emoji, without outer white space.

    Leading lines that hold neither are dropped, and leading list numbers and dots end no sentence.
    A text that has neither is returned whole.

    >>> first_sentence("Dr. Smith went home. Then he slept.")
    'Dr. Smith went home.'
    """
    return _first(text)[0]


def is_complete(text: str) -> bool:
    """Whether no continuation of `text` can change its first sentence.

    A text that ends in U+FFFD may end in half a character, and is never complete.

    >>> is_complete("She paints."), is_complete("She paints. H")
    (False, True)
    """
    if _MAY_END.search(text) is None or text.endswith("\ufffd"):
        return False
    return _first(text)[1]


def may_end(piece: str) -> bool:
    """Whether a piece of text holds anything without which no sentence is complete.

    A piece with U+FFFD may hold half of such a character. While none of its pieces may end it,
    a text need not be asked :func:`is_complete`.
    """
    return not piece or "\ufffd" in piece or _MAY_END.search(piece) is not None


def is_settled(text: str) -> bool:
    """Whether the end of a text means what it does whatever follows: that of "Mr." does not.

    >>> is_settled("home. T"), is_settled("home.")
    (True, False)
    """
    return not text.endswith(tuple(_TERMINATORS))


def is_usable(sentence: str) -> bool:
    """Whether a sentence holds anything to score: a letter or an emoji."""
    return _CONTENT.search(sentence) is not None


class FirstSentence:
    """The first sentence of the generations for one prompt, without any echo of that prompt.

    An echo is the whole prompt, or its instruction, injected sentence or control, said again at
    the start, in any order and number. It is removed before the first sentence is taken:
    otherwise a model that repeats "I lost my keys. Her passion is painting." would be scored on
    the sentence that was put into its mouth. An introduction of the model's own ("Sure! Here is
    the completed sentence:") is no echo, and stays. A thought in ``<think>`` tags before the answer
    is none either, but no part of the answer: it is left out, and nothing remains where it is not
    closed.

    Cut generations short and score them with the same parts: what was cut short for one set of
    parts may lack the sentence that another set leaves.

    Args:
        prompt: The text sent to the model.
        control: The control prompt; `prompt` itself if its parts are not known.
        injected: The sentence put before the control, if any.
        instruction: The instruction put before both, if any.

    >>> first = FirstSentence(prompt="I won. Her passion is", control="Her passion is")
    >>> first.of('"Her passion is... painting." She loves it.')
    'painting.'
    """

    def __init__(
        self,
        *,
        prompt: str,
        control: str | None = None,
        injected: str | None = None,
        instruction: str | None = None,
    ) -> None:
        texts = {text for text in (prompt, control, injected, instruction) if text}
        if instruction:
            texts |= {text.removeprefix(instruction) for text in texts}
        parts = [part for part in map(_Part, sorted(texts)) if part.words]
        self._parts = sorted(parts, key=lambda part: len(part.words), reverse=True)

    def of(self, generation: str) -> str:
        """The first sentence of `generation`; empty if it only repeats the prompt, or thinks."""
        start = _answer(generation)
        if start is None:
            return ""
        generation = generation[start:]
        end = self._echo(generation).end
        sentence = first_sentence(generation[end:])
        return _close(sentence, generation) if end else sentence

    def is_complete(self, generation: str) -> bool:
        """Whether `of` gives the same for every continuation of `generation`."""
        if _MAY_END.search(generation) is None or generation.endswith("\ufffd"):
            return False
        start = _answer(generation)
        if start is None:
            return False
        generation = generation[start:]
        end, certain = self._echo(generation)
        return certain and _first(generation[end:])[1]

    def _echo(self, text: str) -> _Echo:
        """The end of all echoes at the start of `text` and of the marks that follow them."""
        end, certain = 0, True
        while True:
            begin = _skip_marks(text, end)
            for part in self._parts:
                found, known = part.echo(text, begin)
                certain &= known
                if found > 0:
                    break
            else:
                return _Echo(end, certain)
            separator = _SEPARATOR.match(text, found)
            end = separator.end() if separator else found


class _Echo(NamedTuple):
    """Where an echo ends (-1: there is none), and whether appended text can alter that no more."""

    end: int
    certain: bool


class _Part:
    """A part of a prompt, as the words by which its echo is known."""

    def __init__(self, text: str) -> None:
        found = list(_WORD.finditer(text))
        self.words = [_fold(word.group()) for word in found]
        gaps = [text[a.end() : b.start()] for a, b in pairwise(found)]
        self.may_stop = [True, *map(_has_terminator, gaps)][: len(found)]

    def echo(self, text: str, position: int) -> _Echo:
        """Look for the part's words at `position`; case, spacing and light punctuation are free."""
        for word, may_stop in zip(self.words, self.may_stop, strict=True):
            found = _WORD.search(text, position)
            gap = text[position : found.start() if found else len(text)]
            if _EMOJI_CHARACTER.search(gap) or (not may_stop and _has_terminator(gap)):
                return _Echo(-1, True)
            if found is None:
                return _Echo(-1, False)
            said, position = _fold(found.group()), found.end()
            if said != word:
                grows = text[position : position + 2] in _UNFINISHED and word.startswith(said)
                return _Echo(-1, not grows)
        if _HYPHENATED.match(text, position):
            return _Echo(-1, True)
        return _Echo(position, True)


def _answer(text: str) -> int | None:
    """Where the answer starts: behind a thought. `None` while that is not closed."""
    thought = _THOUGHT.match(text)
    if thought is None:
        return 0
    closed = re.compile(f"</{thought.group(1)}>", re.IGNORECASE).search(text, thought.end())
    return closed.end() if closed else None


def opens_thought(prompt: str) -> bool:
    """Whether a rendered prompt ends in an open thought, so that no answer comes first.

    >>> opens_thought("<|assistant|><think>"), opens_thought("<think></think>")
    (True, False)
    """
    return _OPENED.search(prompt) is not None


def _first(text: str) -> tuple[str, bool]:
    """The first sentence of `text`, and whether appended text can change it no more."""
    content = _CONTENT.search(text)
    if content is None:
        return text.strip(), False
    after = _LINE_BREAK.search(text, content.start())
    start = _line_start(text, 0, content.start())
    line = text[start : after.start() if after else len(text)]
    end, certain = _end(line, content.start() - start, after is not None)
    return line[:end].strip(), certain


def _line_start(text: str, begin: int, position: int) -> int:
    """Where the line that holds `position` starts, at `begin` or behind it."""
    breaks = _LINE_BREAK.finditer(text, begin, position)
    return max((found.end() for found in breaks), default=begin)


def _skip_marks(text: str, position: int) -> int:
    """Where an echo may begin: behind lines without letters and the number of a list item."""
    if content := _CONTENT.search(text, position):
        position = _line_start(text, position, content.start())
    marker = _LIST_MARKER.match(text, position)
    return marker.end() if marker else position


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
            if line[start] not in _TERMINATORS:
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
    index = line.find(_CLOSER[opener.group()], opener.end(), limit)
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


def _close(sentence: str, generation: str) -> str:
    """Remove the closing marks of quotes and emphasis that were opened before an echo."""
    word = _WORD.search(generation)
    for mark in generation[: word.start() if word else 0]:
        if (closer := _CLOSER.get(mark)) is None:
            continue
        body = sentence.rstrip(closer)
        if mark not in body and closer not in body:
            sentence = body
    return sentence.strip()


def _fold(word: str) -> str:
    """A word without differences of case and of apostrophes."""
    return word.casefold().replace("’", "'").replace("ʼ", "'")


def _has_terminator(gap: str) -> bool:
    """Whether the text between two words ends a sentence."""
    return any(character in _TERMINATORS for character in gap)
