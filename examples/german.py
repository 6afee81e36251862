"""Measure a model on German sentences, with a stand-in for an instrument of German.

    python examples/german.py MODEL

The stand-in knows a few words of mood and compares texts by their letters: it shows what an
instrument needs, and measures nothing worth reporting. ``--leakage-instrument multilingual`` does
(docs/languages.md). The sentences in ``german.jsonl`` were written for exleak and not reviewed by
other speakers.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import exleak
from exleak.scoring import Instrument

DATASET = Path(__file__).parent / "german.jsonl"
_GLAD = re.compile(r"\b(?:froh|fröhlich|glücklich|herrlich|wunderbar|schön|lieb|gut)", re.I)
_SAD = re.compile(r"\b(?:traurig|schrecklich|furchtbar|schlimm|elend|schlecht|böse)", re.I)
_WIDTH = 256


class Moods:
    """Moods by German words."""

    languages = ("de",)
    hash = "german words of mood, version 1"

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Probabilities (n, 3): negative, neutral, positive."""
        counts = [[len(_SAD.findall(text)), 1, len(_GLAD.findall(text))] for text in texts]
        rows = np.array(counts, np.float64).reshape(len(texts), 3)
        return rows / rows.sum(axis=1, keepdims=True)


class Letters:
    """Texts by their letters, three at a time: alike if they share words."""

    languages = ("de",)
    hash = "three letters at a time, version 1"

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, 256)."""
        rows = np.full((len(texts), _WIDTH), 1e-3)
        for row, text in zip(rows, texts, strict=True):
            for start in range(len(text) - 2):
                row[zlib.crc32(text[start : start + 3].lower().encode()) % _WIDTH] += 1
        unit: NDArray[np.float64] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def instrument() -> Instrument:
    """The stand-in."""
    return Instrument("stand-in", Moods(), Letters())


def main(model: str) -> None:
    """Measure a model, and print its rates."""
    found = exleak.measure(model, DATASET, instrument=instrument())
    print(f"directional rate {found.expression.directional.rate}, outcome {found.verdict.outcome}")
    print(*found.notes, sep="\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
