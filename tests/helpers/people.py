"""Simulated runs, machines and annotators whose behaviour is known.

A sentence of these runs states its own mood: "it felt +0.50 noise -0.10". People see the mood,
the machine sees it with the noise on top. No figure from here says anything about real people.
"""

from __future__ import annotations

import argparse
import csv
import math
import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exleak import write_generations
from exleak.annotate.key import Item, Key
from exleak.cli.annotate import add_parser
from exleak.records import Condition, PromptGenerations
from exleak.reference.members import member
from exleak.scoring import Instrument

CONDITIONS: tuple[Condition, ...] = ("positive", "neutral", "negative")
_NUMBERS = re.compile(r"it felt ([+-][\d.]+\d) noise ([+-][\d.]+\d)")


class Machine:
    """Reads the mood that a sentence states, with its noise, as class probabilities."""

    hash = "machine"

    def predict(self, texts: Sequence[str]) -> Any:
        """Class probabilities, shape (n, 3): a softmax of the mood."""
        moods = np.array([sum(stated(text)) for text in texts])
        logits = np.stack([-2 * moods, np.zeros(len(moods)), 2 * moods], axis=1)
        return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)

    def embed(self, texts: Sequence[str]) -> Any:
        """One and the same vector for every text."""
        return np.ones((len(texts), 1))


MACHINE = Instrument("machine", Machine(), Machine())


def stated(sentence: str) -> tuple[float, float]:
    """The mood and the noise that a sentence states; 0 where it states none."""
    found = _NUMBERS.search(sentence)
    return (float(found[1]), float(found[2])) if found else (0.0, 0.0)


def reference_rows(
    controls: int, rng: random.Random, generations: int = 3
) -> Iterator[PromptGenerations]:
    """A run that follows the mood law of reference-leaky, on half of its controls.

    The other half ignores what was injected, so that items of one control have much in common.
    """
    law = member("reference-leaky")
    for number in range(controls):
        name, beginning = f"s{number}", f"The hobby of person {number} is"
        leaks = rng.random() < 0.5
        control = _texts(law.control, generations, rng)
        yield PromptGenerations(
            f"{name}:control", None, "control", None, f"Go on: {beginning}", control, beginning
        )
        for condition in CONDITIONS:
            injected = f"Something {condition} happened to {number}."
            texts = _texts(law.law(condition if leaks else None), generations, rng)
            yield PromptGenerations(
                f"{name}:{condition}",
                f"{name}:control",
                condition,
                injected,
                f"Go on: {injected} {beginning}",
                texts,
                beginning,
                injected,
            )


def _texts(law: tuple[float, float, float], count: int, rng: random.Random) -> tuple[str, ...]:
    moods = rng.choices((-1.0, 0.0, 1.0), law, k=count)
    return tuple(
        f"it felt {mood + rng.gauss(0, 0.3):+.5f} noise {rng.gauss(0, 0.5):+.5f}." for mood in moods
    )


def write_run(path: Path, controls: int = 12, seed: int | str = 0, generations: int = 3) -> Path:
    """A generations file of a simulated run."""
    write_generations(path, reference_rows(controls, random.Random(seed), generations))
    return path


@dataclass(frozen=True)
class Person:
    """An annotator who is right with a known probability, and otherwise picks another answer.

    Attributes:
        accuracy: Chance of the right answer.
        missing: Chance of leaving a question out.
    """

    accuracy: float = 1.0
    missing: float = 0.0

    def direction(self, item: Item, rng: random.Random) -> str:
        """Which side is more positive, by more than .3."""
        gap = stated(item.shown["right"])[0] - stated(item.shown["left"])[0]
        right = "same" if abs(gap) < 0.3 else "right" if gap > 0 else "left"
        return self.answer(right, ("left", "same", "right"), rng)

    def answer(self, right: str, choices: Sequence[str], rng: random.Random) -> str:
        """The right answer, another one, or none."""
        if rng.random() < self.missing:
            return ""
        if rng.random() < self.accuracy:
            return right
        return rng.choice([choice for choice in choices if choice != right])


def answer_sheet(key: Key, path: Path, person: Person, seed: int | str = 0) -> Path:
    """A CSV file with a person's answers to every item of an export."""
    rng = random.Random(f"{seed}:{path.stem}")
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["export", "item", "direction", "influence"])
        for item in key.items:
            influence = person.answer("no", ("yes", "no", "unsure"), rng)
            writer.writerow([key.export, item.id, person.direction(item, rng), influence])
    return path


def agree(accuracy: float) -> float:
    """Chance that two such people agree: both right, or both wrong in one of two ways."""
    return accuracy**2 + (1 - accuracy) ** 2 / 2


def near(value: float | None, expected: float, tolerance: float = 1e-9) -> bool:
    """Whether a value is there and as expected."""
    return value is not None and math.isclose(value, expected, abs_tol=tolerance)


def annotate(*arguments: str | Path) -> int:
    """Run ``exleak annotate`` as the command line does."""
    parser = argparse.ArgumentParser()
    add_parser(parser.add_subparsers(dest="command", required=True))
    options = parser.parse_args(["annotate", *map(str, arguments)])
    return int(options.run(options))
