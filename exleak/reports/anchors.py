"""Ids of measurements and pairs in the HTML report: what a shared link names.

They follow from names alone, so that a link to a page still fits after the next run.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

#: What an id does not contain, because a link would have to escape it, or an id is made of parts.
_OTHER = re.compile(r"[^\w.:-]+")
_WIDTH = 200


def anchors(names: Iterable[str]) -> list[str]:
    """An id for each name, unique among them; the second of the same id ends in ``~2``."""
    seen: Counter[str] = Counter()
    found = []
    for name in names:
        anchor = _OTHER.sub("-", name)[:_WIDTH].strip("-") or "-"
        seen[anchor] += 1
        found.append(f"{anchor}~{seen[anchor]}" if seen[anchor] > 1 else anchor)
    return found
