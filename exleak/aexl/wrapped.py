"""Lines that a sentence runs over: text that was wrapped at a width, as books are."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import chain, islice, pairwise

#: Lines that tell whether a text is wrapped.
_TRIAL = 400
#: A wrapped line is no longer than this, in characters; few paragraphs are all shorter.
_WIDTH = 120
#: Share of lines that a sentence runs over, and of those that had no room for one word more.
_SHARE, _FULL = 0.2, 0.7
#: Lines joined at most: a text without blank lines need not be one record.
_PARAGRAPH = 200
_END = re.compile(r"[.!?:…։؟。！？][^\w\s]{0,5}$")


def paragraphs(lines: Iterator[str]) -> Iterator[str]:
    """The texts of a plain file: its lines, or its paragraphs where lines are wrapped.

    A text is wrapped where lines without an end of a sentence are followed by one that goes on in
    lower case. A blank line ends a paragraph.
    """
    start = list(islice(lines, _TRIAL))
    lines = chain(start, lines)
    return _joined(lines) if is_wrapped(start) else lines


def is_wrapped(lines: list[str]) -> bool:
    """Whether sentences run over the ends of these lines, and the lines are as full as can be.

    Short lines without full stops, such as posts of a network, are records of their own.
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
    found: list[str] = []
    for line in lines:
        if line.strip():
            found.append(line.strip())
        if found and (not line.strip() or len(found) >= _PARAGRAPH):
            yield " ".join(found)
            found = []
    if found:
        yield " ".join(found)
