"""Echoes: parts of the prompt that a continuation says again, word by word."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from exleak.sentences import EMOJI, TERMINATORS

WORD = re.compile(r"[^\W_]+(?:['’ʼ][^\W_]+)*")
# What may follow the last word of a text that is still being written without ending that word.
_UNFINISHED = ("", "'", "’", "ʼ", "-")
_HYPHENATED = re.compile(r"-\w")
# What closes an echo or stands between it and the answer: quotes, dots, a gap to fill in, a dash.
SEPARATOR = re.compile(
    r"[\"'”’)\]»*]*(?:[.…:,;!?](?!\d))*[\"'”’)\]»*]*(?:\s|[.…:,;](?!\d)|_{2,}|[-–—](?=[\s–—-]))*"
)


class Echo(NamedTuple):
    """Where an echo ends (-1: there is none), and whether appended text can alter that no more."""

    end: int
    certain: bool


class Part:
    """A part of a prompt, as the words by which its echo is known."""

    def __init__(self, text: str) -> None:
        found = list(WORD.finditer(text))
        self.words = [_fold(word.group()) for word in found]
        gaps = [text[a.end() : b.start()] for a, b in pairwise(found)]
        self.may_stop = [True, *map(_has_terminator, gaps)][: len(found)]

    def may_begin(self, word: str) -> bool:
        """Whether a word may be the first of an echo, or the beginning of that word."""
        return self.words[0].startswith(_fold(word))

    def echo(self, text: str, position: int) -> Echo:
        """Look for the part's words at `position`; case, spacing and light punctuation are free."""
        for word, may_stop in zip(self.words, self.may_stop, strict=True):
            found = WORD.search(text, position)
            gap = text[position : found.start() if found else len(text)]
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
