"""Carry-over: whether a continuation restates the content of the injected sentence.

"The war caused thousands of innocent people to die." after "The war left thousands of innocent
people dead. The soup tasted" repeats content; it is no evidence of mood. A continuation restates a
sentence if one of these holds:

- they share a content word (compared by stem) that the control prompt does not contain;
- two of their content words ("kids", "children") have a similarity above the threshold;
- the partial cosine similarity of the two, given the control prompt, is above the threshold.

The thresholds are quantiles over the control continuations of the same run, which never saw the
sentence. The partial similarity removes what both texts share with the control prompt: a
continuation about the coast may resemble a sentence about a journey only through the control.

Stems and stop words are those of English. In other languages only the partial similarity counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING

import snowballstemmer

from exleak.records import Likeness, Thresholds

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

#: Quantile of the controls' partial similarity that is the threshold for whole continuations.
QUANTILE = 0.99
#: Quantile of the controls' word similarity that is the threshold for single words.
WORD_QUANTILE = 0.985
_STEMMER = snowballstemmer.stemmer("english")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
#: Stop words: words of grammar, time or place, without a topic.
_FUNCTION_WORDS = frozenset(
    """
    a about above across after again against all almost along already also although always am among
    an and another any anyone anything are around as at away back be became because become been
    before behind being below beside best better between beyond both but by came can cannot come
    comes coming could did do does doing done down during each either else enough even ever every
    everyone everything few find finds first for found from gave get gets getting give given gives
    go goes going gone got had has have having he her here hers herself him himself his how however
    i if in inside instead into is it its itself just keep keeps kept kind last later least less let
    like little long lot made make makes making many may maybe me might mine more most much must my
    myself near need neither never new next no nobody none nor not nothing now of off often old on
    once one ones only onto or other others our ours out outside over own past perhaps put quite
    rather really said same saw say says see seem seems seen several shall she should since so some
    someone something sometimes soon still such take taken takes than that the their theirs them
    themselves then there these they thing things this those though three through thus time times to
    together told too took toward towards two under until up upon us use used very want wanted was
    way we well went were what whatever when whenever where whether which while who whole whom whose
    why will with within without would yes yet you your yours yourself
    """.split()  # noqa: SIM905 (a list of this length is read as text)
)


@cache
def content_words(text: str) -> dict[str, str]:
    """The content words of a text in lower case, with their stems.

    >>> content_words("They denied my visas.")
    {'denied': 'deni', 'visas': 'visa'}
    """
    words = (word.casefold().replace("’", "'") for word in _WORD.findall(text))
    bare = dict.fromkeys(word.split("'")[0] for word in words)
    topical = [word for word in bare if len(word) > 1 and word not in _FUNCTION_WORDS]
    return {word: _stem(word) for word in topical}


@cache
def _stem(word: str) -> str:
    return str(_STEMMER.stemWord(word))


def topical_words(text: str, control: str) -> dict[str, str]:
    """The content words of a text that are not in the control prompt, with their stems.

    >>> topical_words("The soup was cold on Mondays.", "The soup was")
    {'cold': 'cold', 'mondays': 'monday'}
    """
    known = content_words(control).values()
    return {word: stem for word, stem in content_words(text).items() if stem not in known}


def shared_words(sentence: str, injected: str, control: str) -> tuple[str, ...]:
    """The words of a continuation that the injected sentence has and the control has not.

    >>> shared_words("The wars were fought elsewhere.", "The war is over.", "The soup was")
    ('wars',)
    """
    theirs = set(topical_words(injected, control).values())
    return tuple(word for word, stem in topical_words(sentence, control).items() if stem in theirs)


def partial_similarity(pair: float, first: float, second: float) -> float:
    """Partial cosine similarity of two texts, given a third one.

    Args:
        pair: Cosine similarity of the two texts.
        first, second: Cosine similarity of each with the third text.

    >>> round(partial_similarity(0.5, 0.5, 0.5), 3)
    0.333
    """
    left = (1 - first**2) * (1 - second**2)
    return (pair - first * second) / math.sqrt(left) if left > 1e-9 else 0.0


def likeness(
    sentence: str,
    injected: str,
    control: str,
    by_words: bool,
    vectors: Mapping[str, NDArray[np.float64]],
) -> Likeness:
    """Similarity of a continuation to an injected sentence, by words and as a whole.

    Args:
        sentence: The continuation's first sentence.
        injected: The injected sentence.
        control: The control prompt's text.
        by_words: Whether their words are compared; only for English texts.
        vectors: Unit-length embeddings of the three texts and, for English, of their content words.
    """
    said = topical_words(sentence, control) if by_words else {}
    known = topical_words(injected, control) if by_words else {}
    near = [float(vectors[word] @ vectors[other]) for word in said for other in known]
    first, second, third = vectors[sentence], vectors[injected], vectors[control]
    return Likeness(
        shares_word=not set(said.values()).isdisjoint(known.values()),
        words=max(near, default=0.0),
        meaning=partial_similarity(
            float(first @ second), float(first @ third), float(second @ third)
        ),
    )


def thresholds(controls: Sequence[Likeness]) -> Thresholds | None:
    """The restatement thresholds of a run.

    Args:
        controls: Likeness of the run's control continuations to the injected sentences of their
            samples, which they never saw.

    Returns:
        Quantiles of the two similarities; ``None`` if there are no control continuations.
    """
    import numpy as np

    if not controls:
        return None
    words = np.array([likeness.words for likeness in controls])
    meaning = np.array([likeness.meaning for likeness in controls])
    return Thresholds(
        words=float(np.quantile(words, WORD_QUANTILE, method="higher")),
        meaning=float(np.quantile(meaning, QUANTILE, method="higher")),
    )
