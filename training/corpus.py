"""The texts that the embedded expression scorer learns from, and what people said about them.

The data folder holds `human-rated-sentences/*.tsv` (id, mean valence of 20 raters from -4 to 4,
text; Hutto and Gilbert, ICWSM 2014), `tweeteval-sentiment-validation/validation.tsv` (label, text;
Barbieri et al. 2020) and `semeval-tweets/train.tsv` (label, year, text; SemEval-2017 task 4A).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exleak.scoring import LABELS
from exleak.scoring.head import lexicon_features
from exleak.scoring.lexicon import Lexicon, split_words
from exleak.scoring.text import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DOMAINS", "DOMAIN_WEIGHTS", "FOLDS", "Corpus", "batches", "read_corpus"]

DOMAINS = ("tweets", "movie-reviews", "product-reviews", "newspaper-editorials")
#: How much a rated text of each domain counts in the loss, and in refining the word list.
DOMAIN_WEIGHTS = (1.0, 0.4, 0.5, 0.4)
FOLDS = 5
SEED = 20250
RATED, VALIDATION, SEMEVAL = range(3)


@dataclass(frozen=True)
class Corpus:
    """All texts with what people said about them.

    Attributes:
        texts: n normalised texts.
        sources: `RATED`, `VALIDATION` or `SEMEVAL` of each.
        domains: Index into `DOMAINS` of each rated text, -1 for labelled tweets.
        ratings: Mean valence, 0 for labelled tweets.
        labels: Index into `LABELS`, -1 for rated texts.
    """

    texts: list[str]
    sources: NDArray[np.int64]
    domains: NDArray[np.int64]
    ratings: NDArray[np.float64]
    labels: NDArray[np.int64]

    def folds(self) -> NDArray[np.int64]:
        """A fold for each text, even within each source, domain and class."""
        generator = np.random.default_rng(SEED)
        fold = np.zeros(len(self.texts), dtype=np.int64)
        strata = self.sources * 100 + (self.domains + 1) * 10 + self.labels + 1
        for stratum in np.unique(strata):
            members = generator.permutation(np.flatnonzero(strata == stratum))
            fold[members] = np.arange(len(members)) % FOLDS
        return fold

    def refined(self, chosen: NDArray[np.int64]) -> NDArray[np.float16]:
        """Strengths of the word list after seeing the rated texts among the chosen ones.

        A ridge regression of the ratings on signed occurrences, with our own strengths as its
        prior.
        """
        from scipy.sparse import csr_matrix
        from scipy.sparse.linalg import lsqr

        lexicon = Lexicon.shipped()
        position = {entry: column for column, entry in enumerate(lexicon.strengths)}
        rated = chosen[self.domains[chosen] >= 0]
        cells = [
            (row, position[entry], factor)
            for row, index in enumerate(rated)
            for _, entry, factor in lexicon.weighted(split_words(self.texts[index]))
        ]
        row_of, column_of, factors = zip(*cells, strict=True)
        shape = (len(rated), len(position))
        occurrences = csr_matrix((factors, (row_of, column_of)), shape=shape)
        prior = np.array(list(lexicon.strengths.values()))
        base = np.column_stack(
            [occurrences @ prior, np.eye(len(DOMAINS))[self.domains[rated]]],
        )
        weights = np.sqrt(np.array(DOMAIN_WEIGHTS)[self.domains[rated]])
        ratings = self.ratings[rated]
        scale = np.linalg.lstsq(base * weights[:, None], ratings * weights, rcond=None)[0]
        rest = (ratings - base @ scale) * weights
        change = lsqr(occurrences.multiply(weights[:, None]).tocsr(), rest, damp=10.0**0.5)[0]
        result: NDArray[np.float16] = (prior + change / scale[0]).clip(-5, 5).astype(np.float16)
        return result

    def words(self, strengths: NDArray[np.float16]) -> NDArray[np.float32]:
        """The word list's features of all texts, as written and refined, (n, 38)."""
        written = Lexicon.shipped()
        values = map(float, strengths)
        refined = Lexicon(dict(zip(written.strengths, values, strict=True)), written.roles)
        return lexicon_features((written, refined), self.texts).astype(np.float32)


def read_corpus(folder: Path) -> Corpus:
    """Read the data folder described at the top of this module."""
    rows: list[tuple[str, int, int, float, int]] = []
    for domain, name in enumerate(DOMAINS):
        for line in _lines(folder / "human-rated-sentences" / f"{name}.tsv"):
            _, rating, text = line.split("\t", 2)
            rows.append((normalise(text), RATED, domain, float(rating), -1))
    for line in _lines(folder / "tweeteval-sentiment-validation" / "validation.tsv"):
        label, text = line.split("\t", 1)
        rows.append((normalise(text), VALIDATION, -1, 0.0, LABELS.index(label)))
    for line in _lines(folder / "semeval-tweets" / "train.tsv"):
        label, _, text = line.split("\t", 2)
        rows.append((normalise(text), SEMEVAL, -1, 0.0, LABELS.index(label)))
    texts, sources, domains, ratings, labels = zip(*rows, strict=True)
    arrays = (np.array(sources), np.array(domains), np.array(ratings), np.array(labels))
    return Corpus(list(texts), *arrays)


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n")[1:] if line.strip()]


def batches(
    lengths: NDArray[np.int64], rows: NDArray[np.int64], size: int, generator: np.random.Generator
) -> Iterator[NDArray[np.int64]]:
    """The rows in random batches of texts of about the same length."""
    order = generator.permutation(rows)
    found = []
    for start in range(0, len(order), 40 * size):
        part = order[start : start + 40 * size]
        part = part[np.argsort(lengths[part], kind="stable")]
        found += [part[at : at + size] for at in range(0, len(part), size)]
    generator.shuffle(found)
    yield from found
