"""An instrument and a text without any model: what a sentence is, its words say plainly."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exleak.aexl import Recipe, build
from exleak.scoring import Instrument

RECIPE = Recipe(top=60, sampled=48, samples=16)


def number(text: str, salt: str = "") -> float:
    """A number from 0 to 1 made from a text."""
    digest = hashlib.blake2b(f"{salt}{text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest) / 2**32


class FakeExpression:
    """What is glad is positive, what is awful negative, all else neutral; the confidence a hash."""

    hash = "fake expression"

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self.seen: list[str] = []

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        time.sleep(self.delay)
        self.seen += texts
        rows = np.empty((len(texts), 3))
        for row, text in zip(rows, texts, strict=True):
            confidence = 0.6 + 0.39 * number(text)
            row[:] = (1 - confidence) / 2
            row[2 if "glad" in text.lower() else 0 if "awful" in text.lower() else 1] = confidence
        return rows


class FakeSemantic:
    """Directions from hashes: no two texts are alike."""

    hash = "fake semantic"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, 64)."""
        rows = [list(hashlib.blake2b(text.encode(), digest_size=64).digest()) for text in texts]
        vectors = np.array(rows, dtype=np.float64).reshape(len(texts), 64) - 127.5
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def instrument(delay: float = 0.0) -> Instrument:
    """The instrument; each call of its scorer takes ``delay`` seconds."""
    return Instrument("fake", FakeExpression(delay), FakeSemantic())


def word(index: int, place: int) -> str:
    """A word of no language."""
    made = int(number(f"{index} {place}") * 10**6)
    return "".join("bdfgklmnprtv"[made // 12**i % 12] + "aeiou"[made // 5**i % 5] for i in range(4))


def sentences(count: int) -> list[str]:
    """Sentences of the three classes in turn, of several lengths."""
    found = []
    for index in range(count):
        some = [word(index, place) for place in range(9)]
        tail = " ".join(some[4 : 5 + index % 5])
        if index % 3 == 0:
            found.append(f"The {some[0]} {some[1]} was {some[2]} by the {some[3]} {tail}.")
        else:
            mood = ("", "A glad", "An awful")[index % 3]
            found.append(f"{mood} {some[0]} {some[1]} was {some[2]} of the {some[3]} {tail}.")
    return found


def write(path: Path, count: int = 400) -> Path:
    """A text file, a sentence a line."""
    path.write_text("".join(f"{sentence}\n" for sentence in sentences(count)), encoding="utf-8")
    return path


if __name__ == "__main__":  # a build to be killed: source, output, store
    build([sys.argv[1]], sys.argv[2], recipe=RECIPE, instrument=instrument(0.05), store=sys.argv[3])
