"""Lone surrogates: halves of characters, which JSON can contain but UTF-8 cannot encode.

They may come from a server's reply or an external file. Tokenizers and segmenters reject them, so
they are replaced one for one before a text is passed on.
"""

from __future__ import annotations

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def has_surrogates(text: str) -> bool:
    """Whether a text contains a surrogate."""
    return _SURROGATE.search(text) is not None


def replace_surrogates(text: str) -> str:
    """Replace each surrogate by a replacement character; the length does not change."""
    return _SURROGATE.sub("\N{REPLACEMENT CHARACTER}", text)


def join_surrogates(text: str) -> str:
    """Join surrogate pairs to one character, and replace each lone surrogate."""
    if not has_surrogates(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
