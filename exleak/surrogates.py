"""Lone surrogates: halves of characters, which JSON can hold and no encoding can write.

A server's reply or a foreign file may bring them. Tokenizers and segmenters refuse them, so they
are replaced, one for one, wherever a text leaves Python.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogates(text: str) -> bool:
    """Whether a text holds one."""
    return _SURROGATE.search(text) is not None


def replace_surrogates(text: str) -> str:
    """The text with a replacement character for each lone surrogate; its length stays."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def join_surrogates(text: str) -> str:
    """The text with pairs made one character, and a replacement character for each lone half."""
    if not has_surrogates(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
