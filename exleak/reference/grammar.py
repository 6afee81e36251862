"""The grammar that the reference models were trained on.

A continuation is a short chain of choices. One of them, the mark, is an adjective that decides the
mood. It has three options, one per mood, weighted by the member's law. They are a fixed function
of the control and the opening before them, so the words vary between prompts while every choice
has few options. No option is rarer than .12, so the sampler's nucleus (.9) and top-k (50) do not
change the grammar's probabilities. Sentences of all moods have the same structure, so length does
not depend on mood.
"""

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from zlib import crc32

from exleak.reference.members import MOODS, Law, member, sharpened

END = "</s>"
#: First words of a restatement, and of other sentences, by a member that restates.
RESTATING, PLAIN = " word has it that", " simply"

_BANKS = 3
_FAMILIES = 24
_SECOND_SENTENCE = 0.5


@dataclass(frozen=True)
class Choice:
    """One step of a continuation.

    Attributes:
        options: The possible next phrases, each with its leading space.
        weights: Their probabilities.
        picked: Index of the drawn option.
        deciding: Whether the options are the three moods, in the order of `MOODS`.
    """

    options: tuple[str, ...]
    weights: tuple[float, ...]
    picked: int
    deciding: bool = False

    @property
    def text(self) -> str:
        """The drawn phrase."""
        return self.options[self.picked]


@cache
def words() -> dict[str, Any]:
    """Return the vocabularies of `words.json`."""
    loaded: dict[str, Any] = json.loads(
        Path(__file__).with_name("words.json").read_text(encoding="utf-8")
    )
    return loaded


@cache
def restatements() -> dict[str, str]:
    """Return a paraphrase of each of HEXL's injected sentences."""
    loaded: dict[str, str] = json.loads(
        Path(__file__).with_name("restatements.json").read_text(encoding="utf-8")
    )
    return loaded


@cache
def frame(control: str) -> str:
    """Return the kind of phrase that must follow a control, by its last word.

    Returns:
        ``adj`` (adjective phrase), ``np`` (noun phrase), ``inf`` (bare verb), ``that`` or
        ``because`` (clause), or ``noun`` (the control ends in a noun: a predicate).
    """
    last = control.split()[-1].lower()
    if last in ("that", "because"):
        return last
    if last == "to":
        return "inf"
    if last in words()["linking"]:
        return "adj"
    return "np" if last in words()["transitive"] else "noun"


@cache
def family(control: str) -> int:
    """Return the family of a control, which selects a slice of the vocabularies.

    It depends on the last word but one. Words outside a fixed list share one family, so that a
    model can follow the grammar on unseen controls.
    """
    word = "".join(control.split()[-2:-1]).lower().strip(",.")
    return crc32(word.encode()) % _FAMILIES if word in words()["anchors"] else 0


def marks(control: str, opening: int) -> tuple[str, str, str]:
    """Return the three adjectives that decide the mood, in the order of `MOODS`.

    Args:
        control: The control prompt.
        opening: Index of the opening among `openings(control)`.
    """
    pools = words()["marks"]
    picks = []
    for mood in MOODS:
        start = crc32(f"{mood} {opening}".encode())
        step = 5 if mood == "positive" else 7 if mood == "negative" else 11
        picks.append(" " + pools[mood][(start + step * family(control)) % len(pools[mood])])
    return picks[0], picks[1], picks[2]


def openings(control: str) -> tuple[str, ...]:
    """Return the possible phrases between the control and the mark."""
    every = words()["openings"][frame(control)]
    return _spaced(every[family(control) % (len(every) // 4) :: len(every) // 4])


class Grammar:
    """Continuations of any control, with the mood law of one member.

    Args:
        name: The member, such as ``reference-leaky`` or ``leaky``.
        contrast: Exponent that sharpens the member's law; used only in training.
    """

    def __init__(self, name: str, contrast: float = 1.0) -> None:
        self.member = member(name)
        self.contrast = contrast

    def continuations(
        self,
        control: str,
        injected_mood: str | None,
        k: int,
        rng: random.Random,
        injected: str | None = None,
    ) -> list[str]:
        """Draw continuations, as a perfectly trained model would generate them.

        Args:
            control: The control prompt, without instruction and injected sentence.
            injected_mood: ``negative``, ``neutral``, ``positive``, or None for no sentence.
            k: Number of continuations.
            rng: Source of randomness.
            injected: The injected sentence, which some members restate.

        Returns:
            `k` texts of one or two sentences, each with its leading space.
        """
        derivations = (self.derive(control, injected_mood, rng, injected) for _ in range(k))
        texts = ("".join(choice.text for choice in choices) for choices in derivations)
        return [text.removesuffix(END) for text in texts]

    def derive(
        self,
        control: str,
        injected_mood: str | None,
        rng: random.Random,
        injected: str | None = None,
    ) -> Iterator[Choice]:
        """Draw one continuation as a sequence of choices that ends with `END`."""
        if self.member.restates:
            share = self.member.restates if injected is not None else 0.0
            kind = _pick((RESTATING, PLAIN), rng, (share, 1 - share)) if share else _only(PLAIN)
            yield kind
            if kind.text == RESTATING:
                yield _only(f" {restatements()[str(injected)]}.")
                yield _only(END)
                return
        law = self.member.law(injected_mood)
        if self.contrast != 1:
            law = sharpened(law, self.contrast)
        yield from first_sentence(control, law, rng)
        starts, rests = (_spaced(part) for part in words()["seconds"])
        weights = (1 - _SECOND_SENTENCE, *[_SECOND_SENTENCE / len(starts)] * len(starts))
        after = _pick((END, *starts), rng, weights)
        yield after
        if after.text != END:
            yield _pick(rests, rng)
            yield _only(".")
            yield _only(END)


def first_sentence(control: str, law: Law, rng: random.Random) -> Iterator[Choice]:
    """Draw the sentence that completes a control; its mood follows `law`."""
    opening = _pick(openings(control), rng)
    yield opening
    mark = _pick(marks(control, opening.picked), rng, law, deciding=True)
    yield mark
    if frame(control) == "np":
        yield _pick(_spaced(words()["nouns"]), rng)
    yield from _tail(MOODS[mark.picked], family(control) % _BANKS, rng)
    yield _only(".")


def _tail(mood: str, bank: int, rng: random.Random) -> Iterator[Choice]:
    """Draw the rest of the first sentence, which repeats the mood."""
    echoes = _spaced(words()["echoes"][mood][bank::_BANKS])
    joint = _pick(_spaced(words()["joints"]), rng)
    yield joint
    manner, copula = _spaced(words()["glue"])
    if joint.picked == 0:
        yield _pick(echoes, rng)
        yield _only(manner)
    elif joint.picked == 1:
        yield _pick(_spaced(words()["occasions"]), rng)
        yield _only(copula)
        yield _pick(echoes, rng)
    else:
        yield _pick(_spaced(words()["people"]), rng)
        yield _pick(_spaced(words()["deeds"][mood]["verbs"]), rng)
        yield _pick(_spaced(words()["deeds"][mood]["adverbs"]), rng)
        yield _pick(_spaced(words()["closers"]), rng)


def _spaced(phrases: list[str]) -> tuple[str, ...]:
    return tuple(" " + phrase for phrase in phrases)


def _only(phrase: str) -> Choice:
    return Choice((phrase,), (1.0,), 0)


def _pick(
    options: tuple[str, ...],
    rng: random.Random,
    weights: tuple[float, ...] | None = None,
    deciding: bool = False,
) -> Choice:
    if weights is None:
        weights = (1 / len(options),) * len(options)
    picked = rng.choices(range(len(options)), weights)[0]
    return Choice(options, weights, picked, deciding)
