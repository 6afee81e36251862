"""Echoes: parts of the prompt that a continuation says again, word by word."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from exleak.sentences.segmentation import EMOJI, TERMINATORS

WORD = re.compile(r"[^\W_]+(?:['’ʼ][^\W_]+)*")
# What may follow the last word of a text that is still being written without ending that word.
_UNFINISHED = ("", "'", "’", "ʼ", "-")
_HYPHENATED = re.compile(r"-\w")
# What closes an echo or stands between it and the answer: quotes, dots, a gap to fill in, a dash.
SEPARATOR = re.compile(
    r"[\"'”’)\]»*]*(?:[.…:,;!?](?!\d))*[\"'”’)\]»*]*(?:\s|[.…:,;](?!\d)|_{2,}|[-–—](?=[\s–—-]))*"
)


# A sentence that is broken off behind so many of its words is an echo too.
_BROKEN_OFF = 3
_DOTS = re.compile(r"[\"'”’»*_]*[,;]?\s*(?:\.{2,}|…)")
_HALF_DOTS = re.compile(r"[\"'”’»*_]*[,;]?\s*\.?")
#: Words in a row that are no chance.
RUN = 4


class Echo(NamedTuple):
    """Where an echo ends (-1: there is none), and whether appended text can alter that no more."""

    end: int
    certain: bool


class Part:
    """A part of a prompt, as the words by which its echo is known.

    Args:
        text: The part.
        breakable: Whether dots may break it off.
    """

    def __init__(self, text: str, *, breakable: bool = False) -> None:
        self._breakable = breakable
        found = list(WORD.finditer(text))
        self.words = [_fold(word.group()) for word in found]
        gaps = [text[a.end() : b.start()] for a, b in pairwise(found)]
        self.may_stop = [True, *map(_has_terminator, gaps)][: len(found)]

    def quoted_in(self, text: str, least: int) -> bool:
        """Whether four of the part's words stand in a row in `text`, or all of at least `least`."""
        run = min(RUN, len(self.words))
        if run < least:
            return False
        said = [_fold(word.group()) for word in WORD.finditer(text)]
        runs = {tuple(said[i : i + run]) for i in range(len(said) - run + 1)}
        return any(tuple(self.words[i : i + run]) in runs for i in range(len(self.words) - run + 1))

    def may_begin(self, word: str) -> bool:
        """Whether a word may be the first of an echo, or the beginning of that word."""
        return self.words[0].startswith(_fold(word))

    def echo(self, text: str, position: int) -> Echo:
        """Look for the part's words at `position`; case, spacing and light punctuation are free."""
        for count, (word, may_stop) in enumerate(zip(self.words, self.may_stop, strict=True)):
            found = WORD.search(text, position)
            gap = text[position : found.start() if found else len(text)]
            if self._breakable and count >= _BROKEN_OFF and not may_stop:
                if _DOTS.match(gap) and not EMOJI.search(gap):
                    return Echo(position, found is not None)
                if found is None and _HALF_DOTS.fullmatch(gap):
                    return Echo(-1, False)
            if EMOJI.search(gap) or (not may_stop and _has_terminator(gap)):
                return Echo(-1, True)
            if found is None:
                return Echo(-1, False)
            said, position = _fold(found.group()), found.end()
            if said != word:
                grows = text[position : position + 2] in _UNFINISHED and word.startswith(said)
                return Echo(-1, not grows)
        if _HYPHENATED.match(text, position):
            return Echo(-1, True)
        return Echo(position, True)


def _fold(word: str) -> str:
    """A word without differences of case and of apostrophes."""
    return word.casefold().replace("’", "'").replace("ʼ", "'")


def _has_terminator(gap: str) -> bool:
    """Whether the text between two words ends a sentence."""
    return any(character in TERMINATORS for character in gap)
