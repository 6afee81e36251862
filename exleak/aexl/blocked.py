"""A short list of toxic words and phrases that exclude a sentence from a dataset."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path

_LIST = Path(__file__).with_name("blocked.txt")


def is_blocked(words: Sequence[str]) -> bool:
    """Whether a sentence, given as lower-case words, contains a word or phrase of the list."""
    if any(map(_is_listed, words)):
        return True
    joined = f" {' '.join(words)} "
    return any(phrase in joined for phrase in _read()[1])


@functools.cache
def _read() -> tuple[frozenset[str], tuple[str, ...], frozenset[str]]:
    kinds: dict[str, list[str]] = {}
    for line in _LIST.read_text(encoding="ascii").splitlines():
        kind, colon, entries = line.partition(":")
        if colon and not line.startswith("#"):
            kinds.setdefault(kind, []).extend(entries.split())
    phrases = tuple(f" {entry.replace('_', ' ')} " for entry in kinds.pop("phrases"))
    hashed = frozenset(kinds.pop("hashed"))
    return frozenset(word for entries in kinds.values() for word in entries), phrases, hashed


@functools.lru_cache(maxsize=50_000)
def _is_listed(word: str) -> bool:
    plain, _, hashed = _read()
    return word in plain or hashlib.sha256(word.encode()).hexdigest()[:16] in hashed
