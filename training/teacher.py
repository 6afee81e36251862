"""The teacher of the embedded expression scorer: a small language model that learns to classify.

It is fine-tuned whole and too large to ship. The student learns the classes that it gives.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional

from training.corpus import Corpus
from training.learning import DEVICE, OUTPUTS, Lesson, Rows, learn, padded, predicted

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["taught_by"]

EPOCHS, SIZE, LEARNING_RATE = 2, 128, 1e-4


class Teacher(torch.nn.Module):
    """A causal language model whose mean and last states are classified.

    Args:
        path: A checkpoint.
    """

    def __init__(self, path: str) -> None:
        from transformers import AutoModel

        super().__init__()
        self.model = AutoModel.from_pretrained(path, dtype=torch.float32)
        self.out = torch.nn.Linear(2 * self.model.config.hidden_size, OUTPUTS)

    def forward(self, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Outputs of one network, (1, rows, outputs)."""
        found = self.model(input_ids=tokens, attention_mask=mask.long(), use_cache=False)
        states = found.last_hidden_state.float()
        mean = (states * mask[:, :, None]).sum(1) / mask.sum(1)[:, None]
        last = states[torch.arange(len(states)), mask.sum(1).long() - 1]
        both = functional.dropout(torch.cat([mean, last], 1), 0.1, self.training)
        result: torch.Tensor = self.out(both)
        return result[None]


def taught_by(
    path: str, corpus: Corpus, chosen: NDArray[np.int64], seed: int
) -> NDArray[np.float32]:
    """Class probabilities of all texts by a teacher that learnt from the chosen ones, (n, 3)."""
    from transformers import AutoTokenizer

    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(path)
    ids = tokenizer(corpus.texts, truncation=True, max_length=128)["input_ids"]
    teacher = Teacher(path).to(DEVICE)

    def forward(rows: Rows, longest: int) -> torch.Tensor:
        result: torch.Tensor = teacher(*padded(ids, rows, longest))
        return result

    groups = [
        {"params": list(teacher.model.parameters()), "lr": LEARNING_RATE},
        {"params": list(teacher.out.parameters()), "lr": 1e-3},
    ]
    lesson = Lesson(corpus, ids, chosen, EPOCHS, SIZE, seed)
    learn(teacher, forward, groups, lesson)
    scores = predicted(forward, lesson)
    powers = np.exp(scores - scores.max(1, keepdims=True))
    result: NDArray[np.float32] = powers / powers.sum(1, keepdims=True)
    return result
