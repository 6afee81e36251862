"""Detects and joins wrapped lines: text that was broken at a fixed width, as in books."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise

#: Number of lines that decide whether a text is wrapped.
_TRIAL = 400
#: Longest wrapped line, in characters; paragraphs are rarely all shorter.
_WIDTH = 120
#: Minimum shares: of lines whose sentence runs on, and among these, of full lines.
_SHARE, _FULL = 0.2, 0.7
#: Largest number of lines joined, for texts without blank lines.
_PARAGRAPH = 200
_END = re.compile(r"[.!?:…։؟。！？][^\w\s]{0,5}$")


def paragraphs(lines: Iterator[str]) -> Iterator[str]:
    """The texts of a plain file: its lines, or its paragraphs if lines are wrapped.

    A text is wrapped if lines without a sentence end are followed by lines that begin in lower
    case. A blank line ends a paragraph.
    """
    start = list(islice(lines, _TRIAL))
    lines = chain(start, lines)
    return _joined(lines) if is_wrapped(start) else lines


def is_wrapped(lines: list[str]) -> bool:
    """Whether sentences continue across these lines, and the lines are full.

    Short lines without full stops, such as social media posts, are separate records.
    """
    texts = [line.strip() for line in lines]
    pairs = [(one, other) for one, other in pairwise(texts) if one and other]
    runs_over = [
        (one, other) for one, other in pairs if other[0].islower() and _END.search(one) is None
    ]
    if not runs_over or len(runs_over) < _SHARE * len(pairs):
        return False
    lengths = sorted(len(text) for text in texts if text)
    width = lengths[int(0.95 * (len(lengths) - 1))]
    full = [len(one) + 1 + len(other.split()[0]) > 0.9 * width for one, other in runs_over]
    return width <= _WIDTH and sum(full) >= _FULL * len(full)


def _joined(lines: Iterator[str]) -> Iterator[str]:
    paragraph: list[str] = []
    for line in lines:
        if line.strip():
            paragraph.append(line.strip())
        if paragraph and (not line.strip() or len(paragraph) >= _PARAGRAPH):
            yield " ".join(paragraph)
            paragraph = []
    if paragraph:
        yield " ".join(paragraph)
