"""Majority votes on items, and the meaning of answers relative to the injected mood."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exleak.annotate.answers import Answers
from exleak.annotate.key import Item, Key
from exleak.records import LEAKING_CONDITIONS

#: Meaning of a direction relative to the injected mood, given the key.
LEANINGS = ("toward", "same", "away")


@dataclass(frozen=True)
class Majority:
    """The majority vote of each item that has an answer.

    Attributes:
        winners: The category with most answers, by item.
        ties: The categories that share the first place, by item.
    """

    winners: dict[str, str]
    ties: dict[str, tuple[str, ...]]


def majority(ratings: Mapping[str, Sequence[str]]) -> Majority:
    """The majority vote of each item; ties are reported, not broken."""
    winners: dict[str, str] = {}
    ties: dict[str, tuple[str, ...]] = {}
    for item, answers in ratings.items():
        if not answers:
            continue
        most = max(map(list(answers).count, answers))
        top = tuple(sorted({name for name in answers if list(answers).count(name) == most}))
        if len(top) == 1:
            winners[item] = top[0]
        else:
            ties[item] = top
    return Majority(winners, ties)


def leaning(item: Item, direction: str) -> str:
    """The leaning of a ``direction``: toward the injected mood, away from it, or neither."""
    if direction == "same":
        return "same"
    positive_side = item.side if item.condition == "positive" else _other(item.side)
    return "toward" if direction == positive_side else "away"


def _other(side: str | None) -> str:
    return "right" if side == "left" else "left"


def leanings(key: Key, answers: Answers) -> dict[str, tuple[str, ...]]:
    """The leanings of the answers to each positive and negative item, by item."""
    return {
        item.id: tuple(leaning(item, value) for value in answers.of("direction", item.id))
        for item in key.items
        if item.condition in LEAKING_CONDITIONS
    }


def vote_share(votes: Sequence[str]) -> float:
    """Share of votes for ``toward``; ``same`` counts one half."""
    return (votes.count("toward") + votes.count("same") / 2) / len(votes)


def decision(votes: Sequence[str]) -> bool | None:
    """Whether more than half say ``toward``; ``None`` if exactly half do."""
    twice = 2 * votes.count("toward")
    return None if twice == len(votes) else twice > len(votes)
