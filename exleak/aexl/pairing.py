"""Which triple of sentences goes before which control: none that is about its control."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exleak.aexl.filters import FUNCTION_WORDS, words

if TYPE_CHECKING:
    from exleak.aexl.balance import Triple
    from exleak.aexl.duplicates import Embed

_STEM = 5


def stems(text: str) -> frozenset[str]:
    """The words of a text that carry a topic, cut to five letters."""
    found = (word for word in words(text) if len(word) > 2 and word not in FUNCTION_WORDS)
    return frozenset(word.rstrip("s")[:_STEM] for word in found)


class Unrelated:
    """Whether none of a triple's sentences is about a control.

    Args:
        triples: The triples.
        controls: The control phrases.
        embed: Unit vectors (n, d) of n texts.
        max_similarity: Largest cosine similarity allowed; at 1 anything is.
    """

    def __init__(
        self,
        triples: Sequence[Triple],
        controls: Sequence[str],
        embed: Embed,
        max_similarity: float,
    ) -> None:
        self._limit = max_similarity
        if max_similarity >= 1:
            return
        flat = [text for triple in triples for text in triple.texts]
        self._triples = embed(flat).reshape(len(triples), 3, -1)
        self._controls = embed(controls)
        self._triple_stems = [stems(" ".join(triple.texts)) for triple in triples]
        self._control_stems = [stems(control) for control in controls]

    def __call__(self, triple: int, control: int) -> bool:
        """Whether this triple may go before this control."""
        if self._limit >= 1:
            return True
        if self._triple_stems[triple] & self._control_stems[control]:
            return False
        return float((self._triples[triple] @ self._controls[control]).max()) <= self._limit


def match(
    triples: int, controls: int, allowed: Callable[[int, int], bool], wanted: int
) -> list[tuple[int, int]]:
    """Give triples a control of their own, the first triples first.

    Where no free control suits a triple, others are moved to make room (augmenting paths: H. W.
    Kuhn, The Hungarian method, 1955), so that no pair is lost to a bad choice made before.

    Args:
        triples, controls: How many there are.
        allowed: Whether a triple may go before a control.
        wanted: Stop at this number of pairs.

    Returns:
        Pairs of a triple and its control, by triple.
    """
    owner: dict[int, int] = {}
    dead: set[int] = set()
    for triple in range(triples):
        if len(owner) == wanted:
            break
        _augment(triple, controls, allowed, owner, dead)
    return sorted((triple, control) for control, triple in owner.items())


def _augment(
    triple: int,
    controls: int,
    allowed: Callable[[int, int], bool],
    owner: dict[int, int],
    dead: set[int],
) -> None:
    """Find a control for one more triple, shifting those of others along a shortest path.

    Controls that a search in vain has seen lead nowhere in later ones either: they are `dead`.
    """
    came_from: dict[int, int] = {}
    queue = deque([triple])
    while queue:
        current = queue.popleft()
        for step in range(controls):
            control = (current + step) % controls
            if control in came_from or control in dead or not allowed(current, control):
                continue
            came_from[control] = current
            if control not in owner:
                _shift(control, came_from, owner, triple)
                return
            queue.append(owner[control])
    dead.update(came_from)


def _shift(control: int, came_from: dict[int, int], owner: dict[int, int], triple: int) -> None:
    held = {member: place for place, member in owner.items()}
    while True:
        member = came_from[control]
        owner[control] = member
        if member == triple:
            return
        control = held[member]
