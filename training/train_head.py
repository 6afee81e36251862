"""Train, cross-validate and write the embedded expression scorer.

    python -m training.train_head DATA_FOLDER --teacher CHECKPOINT [--folds 3] [--out FILE]

`corpus` says what the folder holds. For each fold a teacher is fine-tuned (`teacher`) on the other
four fifths, and a student (`student`) learns from it and from the same texts. Every figure printed
is about texts that teacher, student, refined word list and calibration had not seen. What is
written is the student of the first fold, calibrated on that fold: its figures are those of the
weights that are used. Made for a GPU, where a fold takes some five minutes; a day on two cores.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from exleak.scoring import LABELS
from exleak.scoring.head import HEAD, save_tensors
from training.corpus import DOMAINS, FOLDS, SEMEVAL, VALIDATION, Corpus, read_corpus
from training.student import fit
from training.teacher import taught_by

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Scores = dict[int, NDArray[np.float64]]

SEED = 3
#: Class shares that calibration assumes. At equal shares the class in the middle loses to both of
#: its neighbours.
PRIOR = (0.32, 0.36, 0.32)


def calibration(
    scores: NDArray[np.float64], labels: NDArray[np.int64]
) -> tuple[float, NDArray[np.float64]]:
    """One slope and three offsets that make held-out scores likeliest under `PRIOR`."""
    from scipy.optimize import minimize

    weights = (np.array(PRIOR) / np.bincount(labels, minlength=3))[labels]

    def loss(parameters: NDArray[np.float64]) -> float:
        shifted = scores * parameters[0] + parameters[1:]
        top = shifted.max(1, keepdims=True)
        normaliser = np.log(np.exp(shifted - top).sum(1)) + top[:, 0]
        return float((weights * (normaliser - shifted[np.arange(len(labels)), labels])).sum())

    best = minimize(loss, np.array([1.0, 0.0, 0.0, 0.0])).x
    return float(best[0]), best[1:] - best[1:].mean()


def calibrated(
    corpus: Corpus, fold: NDArray[np.int64], scores: Scores, number: int
) -> NDArray[np.float64]:
    """Probabilities of a fold's texts, their calibration learnt on the other folds."""
    own = fold == number
    learnt = [
        (values[labelled], corpus.labels[labelled])
        for other, values in scores.items()
        if other != number or len(scores) == 1
        for labelled in [(fold == other) & (corpus.labels >= 0)]
    ]
    slope, offset = calibration(*(np.concatenate(parts) for parts in zip(*learnt, strict=True)))
    shifted = scores[number][own] * slope + offset
    powers = np.exp(shifted - shifted.max(1, keepdims=True))
    result: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
    return result


def calibration_error(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> float:
    """Expected calibration error of the likeliest class in 15 bins of equal width."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * 15).astype(int), 14)
    gaps = np.bincount(bins, right - confidence, minlength=15)
    return float(np.abs(gaps).sum() / len(labels))


def figures(
    corpus: Corpus, own: NDArray[np.bool_], probabilities: NDArray[np.float64]
) -> dict[str, float]:
    """How well a fold's held-out texts were called."""
    from scipy.stats import spearmanr

    found: dict[str, float] = {}
    labels, called = corpus.labels[own], probabilities.argmax(1)
    for source, name in ((VALIDATION, "TweetEval validation"), (SEMEVAL, "SemEval tweets")):
        part = corpus.sources[own] == source
        recalls = [float((called[part & (labels == k)] == k).mean()) for k in range(len(LABELS))]
        found[f"{name}: macro recall"] = float(np.mean(recalls))
        for label, recall in zip(LABELS, recalls, strict=True):
            found[f"{name}: recall of {label}"] = recall
        error = calibration_error(probabilities[part], labels[part])
        found[f"{name}: calibration error"] = error
    mood = probabilities[:, 2] - probabilities[:, 0]
    domains, ratings = corpus.domains[own], corpus.ratings[own]
    groups = {name: domains == number for number, name in enumerate(DOMAINS)}
    for name, part in (groups | {"all rated": domains >= 0}).items():
        found[f"Spearman, {name}"] = float(spearmanr(mood[part], ratings[part])[0])
    return found


def report(passes: Sequence[dict[str, float]]) -> Iterator[str]:
    """Lines with mean and range over the folds."""
    for name in passes[0]:
        values = [each[name] for each in passes]
        yield f"| {name} | {np.mean(values):.3f} | {min(values):.3f} to {max(values):.3f} |"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("data", type=Path, help="the data folder")
    parser.add_argument("--teacher", required=True, help="checkpoint of a small language model")
    parser.add_argument("--folds", type=int, choices=range(1, FOLDS + 1), default=3)
    parser.add_argument("--out", type=Path, default=HEAD)
    options = parser.parse_args()
    corpus = read_corpus(options.data)
    fold, scores = corpus.folds(), {}
    for number in range(options.folds):
        print(f"fold {number}", flush=True)
        seen = np.flatnonzero(fold != number)
        taught = taught_by(options.teacher, corpus, seen, SEED)
        fitted = fit(corpus, seen, taught, SEED)
        scores[number] = fitted.scores.astype(np.float64)
        if number == 0:
            labelled = (fold == 0) & (corpus.labels >= 0)
            slope, offset = calibration(scores[0][labelled], corpus.labels[labelled])
            learnt = {"slope": np.array([slope]), "offset": offset}
            learnt = {name: value.astype(np.float32) for name, value in learnt.items()}
            save_tensors(fitted.tensors | learnt, options.out)
    passes = [
        figures(corpus, fold == number, calibrated(corpus, fold, scores, number))
        for number in scores
    ]
    print(*report(passes), f"wrote {options.out}", sep="\n")


if __name__ == "__main__":
    main()
