"""How the embedded expression head learns; `train_head` runs it.

The data folder holds `human-rated-sentences/*.tsv` (id, mean valence of 20 raters from -4 to 4,
text; Hutto and Gilbert, ICWSM 2014) and `tweeteval-sentiment-validation/validation.tsv` (label,
text; Barbieri et al. 2020, from SemEval-2017 task 4A).

One small network learns three things at once: how a sentence was rated, how strongly, and which
class a tweet was given. The ratings are many and teach what mood looks like; the labelled tweets
are few and teach where raters of tweets draw the lines. Classes weigh the same in training,
however many tweets they have, because the texts to be scored have shares of their own; `PRIOR`
leans a little towards neutral when the scores are calibrated, because at equal shares the class
in the middle loses to both its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from exleak.scoring import LABELS
from exleak.scoring.encoder import load_encoder
from exleak.scoring.head import CLIP, lexicon_features
from exleak.scoring.lexicon import Lexicon, split_words
from exleak.scoring.text import normalise

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["DOMAINS", "Corpus", "calibration", "fit_members", "pooled_states", "read_corpus"]

DOMAINS = ("tweets", "movie-reviews", "product-reviews", "newspaper-editorials")
DOMAIN_WEIGHTS = (1.0, 0.4, 0.5, 0.4)
MEMBERS = 4
EPOCHS = 5
BATCH = 128
LEARNING_RATE = 1e-3
LABEL_WEIGHT = 0.7
HIDDEN, CODE = 96, 32
PRIOR = (0.32, 0.36, 0.32)
OUTPUTS = 2 * len(DOMAINS) + len(LABELS)


@dataclass(frozen=True)
class Corpus:
    """All texts with what people said about them.

    Attributes:
        texts: n normalised texts.
        domains: Index into `DOMAINS` of each rated text, -1 for labelled tweets.
        ratings: Mean valence, 0 for labelled tweets.
        labels: Index into `LABELS`, -1 for rated texts.
    """

    texts: list[str]
    domains: NDArray[np.int64]
    ratings: NDArray[np.float64]
    labels: NDArray[np.int64]


def read_corpus(folder: Path) -> Corpus:
    """Read the data folder described at the top of this module."""
    rows: list[tuple[str, int, float, int]] = []
    for domain, name in enumerate(DOMAINS):
        for line in _lines(folder / "human-rated-sentences" / f"{name}.tsv"):
            _, rating, text = line.split("\t", 2)
            rows.append((normalise(text), domain, float(rating), -1))
    for line in _lines(folder / "tweeteval-sentiment-validation" / "validation.tsv"):
        label, text = line.split("\t", 1)
        rows.append((normalise(text), -1, 0.0, LABELS.index(label)))
    texts, domains, ratings, labels = zip(*rows, strict=True)
    return Corpus(list(texts), np.array(domains), np.array(ratings), np.array(labels))


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text(encoding="utf-8").split("\n")[1:] if line.strip()]


def pooled_states(corpus: Corpus) -> NDArray[np.float32]:
    """Layers 3 to 5 of the encoder for each text, (n, 1152)."""
    encoder = load_encoder()
    parts = [
        encoder.pooled(corpus.texts[start : start + 4000])[:, :3].reshape(-1, 3 * 384)
        for start in range(0, len(corpus.texts), 4000)
    ]
    return np.concatenate(parts)


def refine(corpus: Corpus, chosen: NDArray[np.int64], lexicon: Lexicon) -> NDArray[np.float16]:
    """Strengths of the word list after seeing the rated texts among `chosen`.

    A ridge regression of the ratings on signed occurrences, with our own strengths as its prior.
    """
    from scipy.sparse import csr_matrix
    from scipy.sparse.linalg import lsqr

    position = {entry: column for column, entry in enumerate(lexicon.strengths)}
    rated = chosen[corpus.domains[chosen] >= 0]
    cells = [
        (row, position[entry], factor)
        for row, index in enumerate(rated)
        for _, entry, factor in lexicon.weighted(split_words(corpus.texts[index]))
    ]
    row_of, column_of, factors = zip(*cells, strict=True)
    occurrences = csr_matrix((factors, (row_of, column_of)), shape=(len(rated), len(position)))
    prior = np.array(list(lexicon.strengths.values()))
    domains = np.eye(len(DOMAINS))[corpus.domains[rated]]
    base = np.column_stack([occurrences @ prior, domains])
    weights = np.sqrt(np.array(DOMAIN_WEIGHTS)[corpus.domains[rated]])
    ratings = corpus.ratings[rated]
    scale = np.linalg.lstsq(base * weights[:, None], ratings * weights, rcond=None)[0]
    rest = (ratings - base @ scale) * weights
    change = lsqr(occurrences.multiply(weights[:, None]).tocsr(), rest, damp=10.0**0.5)[0]
    refined: NDArray[np.float16] = (prior + change / scale[0]).clip(-5, 5).astype(np.float16)
    return refined


class Network(torch.nn.Module):
    """One member of the head, with its training-time outputs for ratings beside the classes."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = torch.nn.Linear(width, HIDDEN)
        self.second = torch.nn.Linear(HIDDEN, CODE)
        self.third = torch.nn.Linear(CODE, OUTPUTS)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Features (n, width) to (n, 11): rating and its size for each domain, class scores."""
        hidden = functional.gelu(
            self.first(functional.dropout(x, 0.3, self.training)), approximate="tanh"
        )
        hidden = self.second(functional.dropout(hidden, 0.4, self.training))
        result: torch.Tensor = self.third(torch.tanh(hidden))
        return result


def soft_classes(ratings: torch.Tensor) -> torch.Tensor:
    """Class probabilities that a mean rating suggests, (n, 3)."""
    positive = torch.sigmoid((ratings - 0.9) / 0.35)
    negative = torch.sigmoid((-0.7 - ratings) / 0.35)
    neutral = (1 - positive - negative).clamp(min=1e-3)
    return torch.stack([negative, neutral, positive], dim=1)


def loss_of(
    out: torch.Tensor, domains: torch.Tensor, ratings: torch.Tensor, labels: torch.Tensor,
    class_weights: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Mean loss of a batch: ratings, their sizes, the classes they suggest, given labels."""
    n = len(DOMAINS)
    rated = domains >= 0
    own = domains[rated][:, None]
    target = ratings[rated]
    value = out[rated, :n].gather(1, own)[:, 0]
    size = out[rated, n : 2 * n].gather(1, own)[:, 0]
    suggested = -(soft_classes(target) * out[rated, 2 * n :].log_softmax(1)).sum(1)
    each = (
        functional.smooth_l1_loss(value, target, reduction="none")
        + 0.5 * functional.smooth_l1_loss(size, target.abs(), reduction="none")
        + 0.15 * suggested
    )
    total = (each * torch.tensor(DOMAIN_WEIGHTS)[own[:, 0]]).sum()
    given = labels[~rated]
    classes = functional.cross_entropy(
        out[~rated, 2 * n :], given, reduction="none", label_smoothing=0.05
    )
    return (total + LABEL_WEIGHT * (classes * class_weights[given]).sum()) / len(out)


def train_member(
    features: torch.Tensor, corpus: Corpus, chosen: NDArray[np.int64], seed: int
) -> Network:
    """Train one network on the chosen rows; labelled tweets are seen twice an epoch."""
    torch.manual_seed(seed)
    network = Network(features.shape[1])
    optimiser = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=0.1)
    labelled = chosen[corpus.labels[chosen] >= 0]
    rows = torch.tensor(np.concatenate([chosen, labelled]))
    steps = len(rows) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, LEARNING_RATE, steps * EPOCHS + 1, pct_start=0.15
    )
    counts = np.bincount(corpus.labels[labelled], minlength=3)
    class_weights = torch.tensor(len(labelled) / 3 / counts, dtype=torch.float32)
    domains, labels = torch.tensor(corpus.domains), torch.tensor(corpus.labels)
    ratings = torch.tensor(corpus.ratings, dtype=torch.float32)
    for _ in range(EPOCHS):
        order = rows[torch.randperm(len(rows))]
        for batch in order[: steps * BATCH].view(steps, BATCH):
            loss = loss_of(
                network(features[batch]), domains[batch], ratings[batch], labels[batch],
                class_weights,
            )  # fmt: skip
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return network.eval()


def fit_members(
    corpus: Corpus, pooled: NDArray[np.float32], chosen: NDArray[np.int64], seed: int
) -> dict[str, NDArray[np.generic]]:
    """Everything of a head but its calibration, learnt from the chosen rows alone."""
    written = Lexicon.shipped()
    strengths = refine(corpus, chosen, written)
    refined = Lexicon(
        dict(zip(written.strengths, map(float, strengths), strict=True)), written.roles
    )
    words = lexicon_features((written, refined), corpus.texts)
    features = np.concatenate([pooled, words], axis=1)
    mean = features[chosen].mean(0)
    scale = 1 / (features[chosen].std(0) + 1e-3)
    scale[pooled.shape[1] :] *= 2
    ready = torch.tensor(((features - mean) * scale).clip(-CLIP, CLIP), dtype=torch.float32)
    members = [train_member(ready, corpus, chosen, seed + m) for m in range(MEMBERS)]
    tensors: dict[str, NDArray[np.generic]] = {
        "strengths": strengths,
        "mean": mean.astype(np.float32),
        "scale": scale.astype(np.float32),
        "slope": np.ones(1, np.float32),
        "offset": np.zeros(3, np.float32),
    }
    for number, name in enumerate(("first", "second", "third"), start=1):
        kept = slice(OUTPUTS - len(LABELS), None) if name == "third" else slice(None)
        weights = [getattr(m, name).weight.detach().numpy()[kept].T for m in members]
        biases = [getattr(m, name).bias.detach().numpy()[kept] for m in members]
        tensors[f"w{number}"] = np.ascontiguousarray(np.stack(weights), dtype=np.float16)
        tensors[f"b{number}"] = np.stack(biases).astype(np.float32)
    return tensors


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
