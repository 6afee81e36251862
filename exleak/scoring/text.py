"""Preprocessing of texts for the expression head.

The encoder's vocabulary lacks emoji and emoticons, and tweets contain handles, links and escapes
that say nothing about mood. Emoji become their Unicode names: "😊" is read as "smiling face with
smiling eyes".
"""

from __future__ import annotations

import html
import re
import unicodedata

from exleak.surrogates import join_surrogates

__all__ = ["VERSION", "normalise"]

VERSION = 1

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")
_QUOTES = re.compile(r'[\\"“”]+')
_LINK = re.compile(r"\b(?:https?://|www\.)\S+")
_USER = re.compile(r"(?<!\w)@\w+")
_HASHTAG = re.compile(r"#(?=\w)")
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z][a-z])")
_STRETCHED = re.compile(r"([a-zA-Z!?.])\1{2,}")
_SPACE = re.compile(r"\s+")

_EMOTICONS = {
    "smiling face": r"[:=8][-o^']?[)\]]|\(:|\^_?\^",
    "grinning face": r"[:=8xX][-o^]?D\b",
    "winking face": r";[-o^]?[)\]D]",
    "frowning face": r"[:=8][-o^]?[(\[]|\):",
    "crying face": r"[:=]['’][-o^]?\(|;_;|T_T",
    "playful face": r"[:=;xX][-o^]?[pP]\b",
    "confused face": r"[:=][-o^]?[/\\](?!/)|[:=][-o^]?[sS]\b",
    "surprised face": r"[:=][-o^]?[oO]\b",
    "annoyed face": r"-_+-|>[:.]?[(<]|[:=][-o^]?\|",
    "red heart": r"<3+|♥",
    "broken heart": r"</3+",
}
_EMOTICON = re.compile(
    r"(?<![\w:])(?:"
    + "|".join(f"(?P<e{i}>{pattern})" for i, pattern in enumerate(_EMOTICONS.values()))
    + r")(?!\w)"
)
_FACES = list(_EMOTICONS)


def _face(match: re.Match[str]) -> str:
    group = match.lastgroup
    assert group is not None
    return f" {_FACES[int(group[1:])]} "


def _named(char: str) -> str:
    """The name of a symbol, nothing for a modifier, any other character unchanged."""
    code = ord(char)
    if code in (0x200D, 0xFE0E, 0xFE0F, 0x20E3) or 0x1F3FB <= code <= 0x1F3FF:
        return ""
    if code < 0x2190 or unicodedata.category(char) != "So":
        return char
    name = unicodedata.name(char, "").lower().replace("heavy black heart", "red heart")
    return " " if name.startswith("regional indicator") else f" {name} "


def normalise(text: str) -> str:
    """Normalise a text to one line: escapes decoded, emoji named, handles and links unified."""
    text = join_surrogates(_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text))
    text = html.unescape(html.unescape(text))
    text = _LINK.sub("http", text)
    text = _EMOTICON.sub(_face, text)
    text = "".join(map(_named, text)) if not text.isascii() else text
    text = _QUOTES.sub(" ", text)
    text = _USER.sub("@user", text)
    text = _CAMEL.sub(" ", _HASHTAG.sub("", text))
    text = _STRETCHED.sub(r"\1\1", text)
    return _SPACE.sub(" ", text).strip()
