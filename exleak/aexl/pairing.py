"""Matches triples of sentences with controls that are unrelated to them in topic."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from exleak.aexl.filters import FUNCTION_WORDS, words

if TYPE_CHECKING:
    from exleak.aexl.balance import Triple
    from exleak.aexl.duplicates import Embed

_STEM = 5
#: Decimals of a similarity, so that machines which differ in the last bits agree.
_DECIMALS = 6
#: What a step of closeness costs: as much as a similarity of .15.
_COST = 0.0225


def stems(text: str) -> frozenset[str]:
    """The content words of a text, cut to five letters."""
    content_words = (word for word in words(text) if len(word) > 2 and word not in FUNCTION_WORDS)
    return frozenset(word.rstrip("s")[:_STEM] for word in content_words)


class Unrelated:
    """Test of whether all sentences of a triple are unrelated to a control.

    Args:
        triples: The triples.
        controls: The control phrases.
        embed: Unit vectors (n, d) of n texts.
        max_similarity: Largest cosine similarity allowed; 1 allows every pair.
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
        """Whether this triple may be paired with this control."""
        if self._limit >= 1:
            return True
        if self._triple_stems[triple] & self._control_stems[control]:
            return False
        return float((self._triples[triple] @ self._controls[control]).max()) <= self._limit

    def best(
        self, pairs: Sequence[tuple[int, int]], closeness: Sequence[int]
    ) -> list[tuple[int, int]]:
        """Pair the same triples with controls that are open, and as unlike them as possible.

        Of all allowed pairings it takes the one with the smallest sum of squared similarities and
        of a cost for controls that leave little open (``scipy.optimize.linear_sum_assignment``),
        so that no single pair is much alike.

        Args:
            pairs: Allowed pairs of a triple and its control.
            closeness: How little each control leaves open (`truncation.closeness`).

        Returns:
            Allowed pairs of the same triples, sorted by triple.
        """
        import numpy as np
        from scipy.optimize import linear_sum_assignment

        if self._limit >= 1:
            return list(pairs)
        chosen = [triple for triple, _ in pairs]
        closest = np.max(self._triples[chosen] @ self._controls.T, axis=1)
        cost = closest.clip(min=0).round(_DECIMALS) ** 2 + _COST * np.array(closeness)
        forbidden = closest > self._limit
        for row, triple in enumerate(chosen):
            own = self._triple_stems[triple]
            forbidden[row] |= [not own.isdisjoint(other) for other in self._control_stems]
        cost[forbidden] = 3 * len(chosen)
        rows, columns = linear_sum_assignment(cost)
        return sorted((chosen[row], int(column)) for row, column in zip(rows, columns, strict=True))


def match(
    triples: int, controls: int, allowed: Callable[[int, int], bool], wanted: int
) -> list[tuple[int, int]]:
    """Match each triple with a different control, in the order of the triples.

    If no allowed control is free, earlier pairs are rearranged along an augmenting path (H. W.
    Kuhn, The Hungarian method, 1955), so that an early choice never costs a pair.

    Args:
        triples, controls: Number of each.
        allowed: Whether a triple may be paired with a control.
        wanted: Number of pairs at which to stop.

    Returns:
        Pairs of a triple and its control, sorted by triple.
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
    """Match one more triple, rearranging earlier pairs along a shortest augmenting path.

    Controls visited by a failed search cannot succeed in later ones either: they become `dead`.
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
