"""Control phrases: sentences truncated in the middle (Algorithm 1, line 9).

The paper does not say where it truncates. Here a phrase stops after a word that cannot end a
sentence, so that it is clearly incomplete: preferably a form of "be", as in the paper's "Her
passion is", otherwise another word that requires a continuation.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exleak.aexl.recipe import Recipe

#: Words that leave a sentence open, in order of preference.
_OPEN = (
    "is are was were became becomes seems seemed looks looked sounds sounded tastes tasted smells "
    "smelled feels felt remains remained",
    "will would can could may might must should has have had",
    "that because if when while where who which whose whether how why until unless since",
    "of in on at by for with from into near behind beside between across against towards under "
    "through during within along around among inside beneath about to and or than as",
    "a an the his their our my its your every each another some two",
)
_RANK = {word: rank for rank, words in enumerate(_OPEN) for word in words.split()}
_PHRASE = re.compile(r"[A-Z][A-Za-z ]*(?:[,'’-][A-Za-z ]+)*")
#: Negations; a phrase with one is not used.
_NEGATION = re.compile(r"\b(?:not|no|never|none|nor|nobody|nothing)\b|n['’]t\b", re.I)


def control_phrase(sentence: str, recipe: Recipe) -> str | None:
    """Truncate a sentence to a control phrase; ``None`` if there is no suitable place.

    Args:
        sentence: A complete sentence.
        recipe: Its ``truncation`` and the control's length bounds are used.
    """
    words = sentence.rstrip(".!?\"'”’)").split()
    if recipe.truncation == "half":
        length = min(max(len(words) // 2, recipe.min_control_words), recipe.max_control_words)
        return " ".join(words[:length]).rstrip(",;:") if length < len(words) else None
    longest = min(recipe.max_control_words, len(words) - 1)
    stops = [
        (_RANK[words[length - 1]], length)
        for length in range(recipe.min_control_words, longest + 1)
        if words[length - 1] in _RANK
    ]
    for _, length in sorted(stops):
        phrase = " ".join(words[:length])
        if _PHRASE.fullmatch(phrase) and not _NEGATION.search(phrase):
            return phrase
    return None
