"""Echoes: parts of the prompt that a continuation repeats word for word."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import NamedTuple

from exleak.sentences.segmentation import EMOJI, TERMINATORS

#: Scripts without spaces between words: Thai to Burmese, Khmer, Chinese and Japanese. Each of their
#: characters counts as a word, since the answer follows an echo without a gap.
_NO_SPACES = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_LETTERS = rf"[^\W_{_NO_SPACES}]+"
WORD = re.compile(rf"(?![_\W])[{_NO_SPACES}]|{_LETTERS}(?:['’ʼ]{_LETTERS})*")
_ONE_CHARACTER = re.compile(f"[{_NO_SPACES}]")
#: Such characters that tell as much as a word.
_CHARACTERS = 2
# Endings of an unfinished text after which its last word may still grow.
_UNFINISHED = ("", "'", "’", "ʼ", "-")
_HYPHENATED = re.compile(r"-\w")
# What closes an echo or separates it from the answer: quotes, dots, a gap to fill in, a dash.
SEPARATOR = re.compile(
    r"[\"'”’)\]»*」』]*(?:[.…:,;!?。！？؟](?!\d))*[\"'”’)\]»*」』]*"
    r"(?:\s|[.…:,;：，、；،؛](?!\d)|_{2,}|[-–—](?=[\s–—-]))*"
)


# A sentence that is broken off after at least this many of its words is an echo too.
_BROKEN_OFF = 3
_DOTS = re.compile(r"[\"'”’»*_]*[,;]?\s*(?:\.{2,}|…)")
_HALF_DOTS = re.compile(r"[\"'”’»*_]*[,;]?\s*\.?")
#: Number of consecutive equal words that rules out coincidence.
RUN = 4


class Echo(NamedTuple):
    """Where an echo ends (-1: there is none), and whether appended text can no longer alter it."""

    end: int
    certain: bool


class Part:
    """A part of a prompt, as the words that identify its echo.

    Args:
        text: The part.
        breakable: Whether dots may break the echo off.
    """

    def __init__(self, text: str, *, breakable: bool = False) -> None:
        self._breakable = breakable
        found = list(WORD.finditer(text))
        self.words = [_fold(word.group()) for word in found]
        dense = sum(_ONE_CHARACTER.fullmatch(word) is not None for word in self.words)
        #: Number of words; of a script without spaces, two characters count as one.
        self.size = len(self.words) - dense + dense / _CHARACTERS
        self._run = RUN * _CHARACTERS if 2 * dense > len(self.words) else RUN
        gaps = [text[a.end() : b.start()] for a, b in pairwise(found)]
        self.may_stop = [True, *map(_has_terminator, gaps)][: len(found)]

    def quoted_in(self, text: str, least: int) -> bool:
        """Whether `text` has four words of the part in a row, or all of at least `least` words."""
        run = min(self._run, len(self.words))
        if self.size < least:
            return False
        said = [_fold(word.group()) for word in WORD.finditer(text)]
        runs = {tuple(said[i : i + run]) for i in range(len(said) - run + 1)}
        return any(tuple(self.words[i : i + run]) in runs for i in range(len(self.words) - run + 1))

    def may_begin(self, word: str) -> bool:
        """Whether a word may be the first word of an echo, or a prefix of that word."""
        return self.words[0].startswith(_fold(word))

    def echo(self, text: str, position: int) -> Echo:
        """Match the part's words at `position`, ignoring case, spacing and light punctuation."""
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
    """Normalise the case and the apostrophes of a word."""
    return word.casefold().replace("’", "'").replace("ʼ", "'")


def _has_terminator(gap: str) -> bool:
    """Whether the text between two words ends a sentence."""
    return any(character in TERMINATORS for character in gap)
