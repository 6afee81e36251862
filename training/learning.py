"""What the expression scorer and its teacher learn from, and how: one loss, one training loop.

A network learns ratings, their sizes and classes together. The ratings are many and teach what mood
looks like; labelled tweets teach where raters draw the lines. Classes weigh alike, however many
tweets they have. A student also learns the classes that its teacher gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from exleak.scoring import LABELS
from training.corpus import DOMAIN_WEIGHTS, DOMAINS, Corpus, batches

__all__ = ["DEVICE", "OUTPUTS", "Lesson", "Rows", "learn", "padded", "predicted"]

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
OUTPUTS = 2 * len(DOMAINS) + len(LABELS)
LABEL_WEIGHT = 0.7
SMOOTHING = 0.05
#: Shares of the labels' and the ratings' loss that a teacher's classes take or add.
TAUGHT, TAUGHT_RATED = 0.8, 0.5
LONGEST = 96

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Lesson:
    """What is learnt, from which texts, how long.

    Attributes:
        corpus: All texts.
        ids: Token ids of each text.
        chosen: Rows that are learnt from.
        epochs: Passes over them.
        size: Texts a step.
        seed: Of the order of texts.
        taught: A teacher's class probabilities of all texts, (n, 3).
    """

    corpus: Corpus
    ids: list[list[int]]
    chosen: NDArray[np.int64]
    epochs: int
    size: int
    seed: int
    taught: NDArray[np.float32] | None = None


def soft_classes(ratings: torch.Tensor) -> torch.Tensor:
    """Class probabilities that a mean rating suggests, (n, 3)."""
    positive = torch.sigmoid((ratings - 0.9) / 0.35)
    negative = torch.sigmoid((-0.7 - ratings) / 0.35)
    neutral = (1 - positive - negative).clamp(min=1e-3)
    return torch.stack([negative, neutral, positive], dim=1)


class Loss:
    """The loss of a lesson.

    Args:
        lesson: The lesson.
    """

    def __init__(self, lesson: Lesson) -> None:
        corpus = lesson.corpus
        labels = corpus.labels[lesson.chosen]
        counts = np.bincount(labels[labels >= 0], minlength=3)
        self.class_weights = _tensor(counts.sum() / 3 / counts)
        self.domain_weights = _tensor(np.array(DOMAIN_WEIGHTS))
        self.domains = torch.tensor(corpus.domains, device=DEVICE)
        self.labels = torch.tensor(corpus.labels, device=DEVICE)
        self.ratings = _tensor(corpus.ratings)
        self.taught = None if lesson.taught is None else _tensor(lesson.taught)

    def __call__(self, out: torch.Tensor, rows: Rows) -> torch.Tensor:
        """Mean over networks and texts; `out` is (networks, rows, outputs)."""
        batch = torch.tensor(rows, device=DEVICE)
        rated = self.domains[batch] >= 0
        classes = out[..., 2 * len(DOMAINS) :].log_softmax(-1)
        total = self._ratings(out[:, rated], classes[:, rated], batch[rated])
        total = total + self._labels(classes[:, ~rated], self.labels[batch[~rated]])
        if self.taught is not None:
            weights = LABEL_WEIGHT * TAUGHT * self.class_weights[self.labels[batch].clamp(min=0)]
            weights = torch.where(rated, torch.full_like(weights, TAUGHT_RATED), weights)
            total = total - ((self.taught[batch] * classes).sum(-1) * weights).sum()
        return total / (out.shape[0] * out.shape[1])

    def _ratings(
        self, out: torch.Tensor, classes: torch.Tensor, batch: torch.Tensor
    ) -> torch.Tensor:
        """Ratings, their sizes, and the classes they suggest."""
        own, target = self.domains[batch], self.ratings[batch]
        column = own[None, :, None].expand(len(out), -1, 1)
        value = out.gather(2, column)[..., 0]
        size = out.gather(2, column + len(DOMAINS))[..., 0]
        each = functional.smooth_l1_loss(value, target.expand_as(value), reduction="none")
        each = each + 0.5 * functional.smooth_l1_loss(
            size, target.abs().expand_as(size), reduction="none"
        )
        each = each - 0.15 * (soft_classes(target) * classes).sum(-1)
        return (each * self.domain_weights[own]).sum()

    def _labels(self, classes: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """The classes that people gave."""
        own = classes.gather(2, labels[None, :, None].expand(len(classes), -1, 1))[..., 0]
        each = -(1 - SMOOTHING) * own - SMOOTHING * classes.mean(-1)
        share = LABEL_WEIGHT * (1 if self.taught is None else 1 - TAUGHT)
        return share * (each * self.class_weights[labels]).sum()


def _tensor(array: NDArray[np.generic]) -> torch.Tensor:
    return torch.tensor(array, dtype=torch.float32, device=DEVICE)


def padded(ids: list[list[int]], rows: Rows, longest: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Tokens and mask of some texts, (rows, length): the length a multiple of 8."""
    kept = [ids[row][:longest] or [0] for row in rows]
    length = -(-max(map(len, kept)) // 8) * 8
    tokens = np.zeros((len(kept), length), np.int64)
    mask = np.zeros((len(kept), length), np.float32)
    for row, own in enumerate(kept):
        tokens[row, : len(own)] = own
        mask[row, : len(own)] = 1
    return torch.tensor(tokens, device=DEVICE), torch.tensor(mask, device=DEVICE)


Forward = Callable[[Rows, int], torch.Tensor]


def learn(
    network: torch.nn.Module, forward: Forward, groups: list[dict[str, Any]], lesson: Lesson
) -> None:
    """Train a network in place.

    Args:
        network: The network.
        forward: Its outputs (networks, rows, outputs) for rows of texts, cut to a length.
        groups: Groups of parameters with their learning rates, as for an optimiser.
        lesson: What is learnt.
    """
    loss_of = Loss(lesson)
    lengths = np.array([min(len(own), LONGEST) for own in lesson.ids])
    generator = np.random.default_rng(lesson.seed)
    steps = lesson.epochs * -(-len(lesson.chosen) // lesson.size)
    optimiser = torch.optim.AdamW(groups, weight_decay=0.01)
    rates = [group["lr"] for group in groups]
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rates, steps + 50, pct_start=0.1)
    network.train()
    for epoch in range(lesson.epochs):
        for rows in batches(lengths, lesson.chosen, lesson.size, generator):
            with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
                out = forward(rows, LONGEST)
            loss = loss_of(out.float(), rows)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        print(f"  epoch {epoch + 1} of {lesson.epochs}: loss {loss.item():.3f}", flush=True)
    network.eval()


def predicted(forward: Forward, lesson: Lesson) -> NDArray[np.float32]:
    """Class scores of all texts, averaged over the networks, (n, 3)."""
    order = np.argsort([len(own) for own in lesson.ids], kind="stable")
    scores = np.zeros((len(order), len(LABELS)), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 512):
            rows = order[start : start + 512]
            out = forward(rows, 256).float().mean(0)[:, 2 * len(DOMAINS) :]
            scores[rows] = out.cpu().numpy()
    return scores
