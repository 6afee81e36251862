"""Train, cross-validate and write the embedded head.

Run as `python -m training.train_head DATA_FOLDER [--out FILE]`; `fit_head` says what the
folder holds. Every figure printed is about texts that the network, the refined word list and the
calibration behind it had not seen. The written head is trained on everything.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from exleak.scoring import LABELS
from exleak.scoring.head import HEAD, Head, lexicon_features, save_tensors
from training.fit_head import (
    DOMAINS,
    Corpus,
    calibration,
    fit_members,
    pooled_states,
    read_corpus,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

FOLDS = 5
REPEATS = 2
SEED = 20250


@dataclass(frozen=True)
class Figures:
    """How one pass of cross-validation went, on the labelled tweets unless named otherwise.

    Attributes:
        recalls: Share found of negative, neutral and positive.
        error: Expected calibration error, tweets as they come, 15 bins.
        balanced_error: The same with the three classes weighing alike.
        spearman: Rank correlation of P[positive] - P[negative] with the ratings, by domain.
    """

    recalls: tuple[float, ...]
    error: float
    balanced_error: float
    spearman: dict[str, float]


def folds(corpus: Corpus, seed: int) -> NDArray[np.int64]:
    """A fold for each text, even within each class and each domain."""
    generator = np.random.default_rng(seed)
    fold = np.zeros(len(corpus.texts), dtype=np.int64)
    strata = corpus.domains * 10 + corpus.labels
    for stratum in np.unique(strata):
        members = generator.permutation(np.flatnonzero(strata == stratum))
        fold[members] = np.arange(len(members)) % FOLDS
    return fold


def scores_of(
    tensors: dict[str, NDArray[np.generic]],
    corpus: Corpus,
    pooled: NDArray[np.float32],
    rows: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Class scores (rows, 3) by way of a file, as a user's would come."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.safetensors"
        save_tensors(tensors, path)
        head = Head(path)
    words = lexicon_features(head.lexicons, [corpus.texts[row] for row in rows])
    return head.scores(pooled[rows], words)


def held_out_scores(
    corpus: Corpus, pooled: NDArray[np.float32], fold: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Class scores (n, 3) of each text by a head that has not seen its fold."""
    scores = np.zeros((len(corpus.texts), 3))
    for number in range(FOLDS):
        seen, unseen = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        tensors = fit_members(corpus, pooled, seen, seed + 10 * number)
        scores[unseen] = scores_of(tensors, corpus, pooled, unseen)
    return scores


def calibrated(
    corpus: Corpus, scores: NDArray[np.float64], fold: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Probabilities, each text's calibration learnt on the other folds."""
    result = np.zeros_like(scores)
    for number in range(FOLDS):
        seen = (fold != number) & (corpus.labels >= 0)
        slope, offset = calibration(scores[seen], corpus.labels[seen])
        own = fold == number
        powers = np.exp(scores[own] * slope + offset)
        result[own] = powers / powers.sum(axis=1, keepdims=True)
    return result


def calibration_error(
    probabilities: NDArray[np.float64], labels: NDArray[np.int64], weights: NDArray[np.float64]
) -> float:
    """Expected calibration error of the likeliest class in 15 bins of equal width."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(bins, weights * (right - confidence), minlength=15)
    return float(np.abs(gaps).sum() / weights.sum())


def figures_of(corpus: Corpus, probabilities: NDArray[np.float64]) -> Figures:
    """The figures of one pass, from held-out probabilities of all texts."""
    from scipy.stats import spearmanr

    tweets = corpus.labels >= 0
    labels, own = corpus.labels[tweets], probabilities[tweets]
    found = own.argmax(axis=1)
    recalls = tuple(float((found[labels == k] == k).mean()) for k in range(3))
    balanced = 1 / np.bincount(labels)[labels]
    mood = probabilities[:, 2] - probabilities[:, 0]
    groups = {name: corpus.domains == number for number, name in enumerate(DOMAINS)}
    groups["all rated"] = ~tweets
    spearman = {n: float(spearmanr(mood[g], corpus.ratings[g])[0]) for n, g in groups.items()}
    return Figures(
        recalls,
        calibration_error(own, labels, np.ones(len(labels))),
        calibration_error(own, labels, balanced),
        spearman,
    )


def report(passes: list[Figures]) -> Iterator[str]:
    """Lines with mean and range over the passes."""
    macro = [float(np.mean(p.recalls)) for p in passes]
    rows = {"macro recall": macro}
    rows |= {f"recall {label}": [p.recalls[k] for p in passes] for k, label in enumerate(LABELS)}
    rows["calibration error"] = [p.error for p in passes]
    rows["calibration error, balanced"] = [p.balanced_error for p in passes]
    for name in passes[0].spearman:
        rows[f"Spearman, {name}"] = [p.spearman[name] for p in passes]
    for name, values in rows.items():
        yield f"| {name} | {np.mean(values):.3f} | {min(values):.3f} to {max(values):.3f} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--out", type=Path, default=HEAD)
    parser.add_argument("--repeats", type=int, default=REPEATS, help="passes of cross-validation")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    corpus = read_corpus(options.data)
    pooled = pooled_states(corpus)
    passes, slopes, offsets = [], [], []
    for repeat in range(options.repeats):
        fold = folds(corpus, SEED + repeat)
        scores = held_out_scores(corpus, pooled, fold, SEED + 1000 * repeat)
        passes.append(figures_of(corpus, calibrated(corpus, scores, fold)))
        tweets = corpus.labels >= 0
        slope, offset = calibration(scores[tweets], corpus.labels[tweets])
        slopes.append(slope)
        offsets.append(offset)
        print(f"pass {repeat}: {passes[-1]}", flush=True)
    tensors = fit_members(corpus, pooled, np.arange(len(corpus.texts)), SEED)
    tensors["slope"] = np.array([np.mean(slopes)], np.float32)
    tensors["offset"] = np.mean(offsets, axis=0).astype(np.float32)
    save_tensors(tensors, options.out)
    print(*report(passes), f"wrote {options.out}, slope {slopes}, offset {offsets}", sep="\n")


if __name__ == "__main__":
    main()
