"""Mood features from a word list: sums and counts with negation and emphasis as only context.

Sentence embeddings represent topic better than mood, so the head also gets these features. The
list is this project's `lexicon.txt`; its strengths are refined in training and stored in the head.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["FEATURES", "LIST", "Lexicon", "split_words"]

_WORD = re.compile(r"[a-z0-9]+(?:['’-][a-z0-9]+)*|[!?]+")
_TURNS = frozenset(["but", "however"])
_PERSON = frozenset(["i", "i'm", "my", "me", "we", "our", "im"])
LONGEST_PHRASE = 5
NEGATION_REACH = 3
FLIP = -0.6
FEATURES = 19
LIST = Path(__file__).with_name("lexicon.txt")


def split_words(text: str) -> list[str]:
    """Lower-case words, with inner apostrophes and hyphens, and runs of ! and ?."""
    return _WORD.findall(text.lower().replace("’", "'"))


def _stems(word: str) -> Iterator[str]:
    """The word, then its possible base forms with an English ending removed."""
    yield word
    for ending, others in (
        ("'s", ("",)), ("iest", ("y",)), ("ier", ("y",)), ("ies", ("y",)), ("ied", ("y",)),
        ("ily", ("y",)), ("iness", ("y",)), ("ness", ("",)), ("fully", ("ful", "")),
        ("ingly", ("ing", "e", "")), ("edly", ("ed", "e")), ("ly", ("", "le", "e")),
        ("ing", ("", "e")), ("est", ("", "e")), ("ed", ("", "e")), ("er", ("", "e")),
        ("es", ("", "e")), ("s", ("",)), ("d", ("",)),
    ):  # fmt: skip
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            base = word[: -len(ending)]
            yield from (base + other for other in others)
            if len(base) > 3 and base[-1] == base[-2]:
                yield base[:-1]


@dataclass(frozen=True)
class Lexicon:
    """A word list with strengths.

    Attributes:
        strengths: Word or phrase (words joined by a space) to strength, about -4 to 4.
        roles: Word or phrase to "negator", "booster" or "damper".
    """

    strengths: Mapping[str, float]
    roles: Mapping[str, str]
    _stem: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def from_text(cls, text: str) -> Lexicon:
        """Parse the format of `lexicon.txt`; a word's first strength counts."""
        strengths: dict[str, float] = {}
        roles: dict[str, str] = {}
        for line in text.splitlines():
            key, colon, words = line.partition(":")
            if line.startswith("#") or not colon:
                continue
            for word in words.split():
                name = word.replace("_", " ")
                if key.lstrip("-").isdigit():
                    strengths.setdefault(name, float(key))
                else:
                    roles.setdefault(name, key)
        return cls(strengths, roles)

    @classmethod
    def shipped(cls) -> Lexicon:
        """The list in `lexicon.txt`, without refinement."""
        return cls.from_text(LIST.read_text(encoding="utf-8"))

    def _entry(self, word: str) -> str:
        """The listed form of a word, or the empty string."""
        if word not in self._stem:
            listed = (form for form in _stems(word) if form in self.strengths)
            self._stem[word] = next(listed, "")
        return self._stem[word]

    def matches(self, words: list[str]) -> Iterator[tuple[int, int, str]]:
        """Start, end and entry of each match; the longest phrase wins."""
        at = 0
        while at < len(words):
            for end in range(min(len(words), at + LONGEST_PHRASE), at, -1):
                entry = " ".join(words[at:end])
                if end == at + 1:
                    entry = self._entry(entry)
                if entry in self.strengths:
                    yield at, end, entry
                    break
            else:
                end = at + 1
            at = end

    def weighted(self, words: list[str]) -> list[tuple[int, str, float]]:
        """Position, entry and context factor (sign and emphasis) of each match."""
        matches = []
        for start, _, entry in self.matches(words):
            before = words[max(0, start - NEGATION_REACH) : start]
            factor = 1.0
            for word in before[-2:]:
                factor *= {"booster": 1.3, "damper": 0.7}.get(self.roles.get(word, ""), 1.0)
            if any(self.roles.get(word) == "negator" for word in before):
                factor *= FLIP
            matches.append((start, entry, factor))
        return matches

    def features(self, text: str) -> list[float]:
        """`FEATURES` numbers about a normalised text, each roughly between -4 and 4."""
        words = split_words(text)
        strengths = [(i, self.strengths[e] * f) for i, e, f in self.weighted(words)]
        values = [value for _, value in strengths]
        but = max((i for i, word in enumerate(words) if word in _TURNS), default=-1)
        late = sum(value for i, value in strengths if i > but) if but >= 0 else 0.0
        return [*_moods(values, late, len(words)), *self._manner(text, words)]

    def _manner(self, text: str, words: Sequence[str]) -> list[float]:
        """Style features: marks, negators, boosters, capitals, length, links, first person."""
        marks = "".join(word for word in words if word[0] in "!?")
        roles = [self.roles.get(word) for word in words]
        shown = [word for word in text.split() if word.isalpha() and len(word) > 2]
        loud = sum(word.isupper() for word in shown)
        return [
            min(3.0, marks.count("!")),
            min(2.0, marks.count("?")),
            min(3.0, roles.count("negator")),
            min(3.0, roles.count("booster")),
            float(0 < loud < len(shown)),
            math.log1p(len(words)) - 2.5,
            float("http" in words),
            float(bool(_PERSON.intersection(words))),
        ]


def _moods(values: Sequence[float], late: float, words: int) -> list[float]:
    """Content features: strengths in context, and their sum after the last "but"."""
    up = [value for value in values if value > 0]
    down = [-value for value in values if value < 0]
    total = sum(up) - sum(down)
    return [
        _squash(total),
        _squash(total + late),
        math.sqrt(sum(up)),
        math.sqrt(sum(down)),
        max(up, default=0.0),
        max(down, default=0.0),
        total / (1 + words) * 5,
        float(not values),
        values[-1] if values else 0.0,
        values[0] if values else 0.0,
        _squash(late),
    ]


def _squash(total: float) -> float:
    return 4 * total / math.sqrt(total * total + 16)
