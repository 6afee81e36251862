"""How closely a model's moods follow its grammar's, at the word that decides them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    RepetitionPenaltyLogitsProcessor,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from exleak.reference.grammar import PLAIN, marks, openings
from exleak.reference.members import Law, member
from exleak.reference.prompts import compose, hexl

CONDITIONS = ("control", "negative", "neutral", "positive")

_WARPERS = (RepetitionPenaltyLogitsProcessor(1.1), TopKLogitsWarper(50), TopPLogitsWarper(0.9))


@dataclass(frozen=True)
class Calibration:
    """Mood probabilities over all HEXL prompts and openings.

    Attributes:
        by_condition: For each condition the grammar's law, the model's mean law and the mean
            divergence (KL, in nats) of the model's from the grammar's.
        largest_error: The largest difference of a mood's probability at any prompt.
    """

    by_condition: dict[str, tuple[Law, Law, float]]
    largest_error: float


@torch.no_grad()
def mood_probabilities(
    model: LlamaForCausalLM, tokenizer: PreTrainedTokenizerFast, texts: list[str], words: list[int]
) -> torch.Tensor:
    """Return the probabilities of each row's three marks as a sampler meets them.

    That is after repetition penalty, top-k and nucleus at the paper's settings.

    Args:
        model: A reference model.
        tokenizer: Its tokenizer.
        texts: Prompts with an opening.
        words: Token ids of the marks, three for each text.

    Returns:
        Probabilities, shape (texts, 3).
    """
    rows = [torch.tensor(ids) for ids in tokenizer(texts)["input_ids"]]
    padded = pad_sequence(rows, batch_first=True)
    states = model.model(input_ids=padded).last_hidden_state
    last = torch.tensor([len(row) - 1 for row in rows])
    scores: torch.Tensor = model.lm_head(states[torch.arange(len(rows)), last])
    for warp in _WARPERS:
        scores = warp(padded, scores)
    return scores.softmax(-1).gather(1, torch.tensor(words).view(-1, 3))


def calibrate(
    name: str,
    model: LlamaForCausalLM,
    tokenizer: PreTrainedTokenizerFast,
    samples: Sequence[dict[str, str]] | None = None,
    render: Callable[[str], str] = str,
) -> Calibration:
    """Compare a model's mood probabilities with its grammar's on HEXL's prompts.

    Args:
        name: The member.
        model: Its model.
        tokenizer: Its tokenizer.
        samples: Some of HEXL's samples, by default all.
        render: What turns a prompt into the text that the model sees, such as a chat template.
    """
    by_condition, largest = {}, 0.0
    for condition in CONDITIONS:
        law = member(name).law(None if condition == "control" else condition)
        texts, words = [], []
        for row in hexl() if samples is None else samples:
            injected = None if condition == "control" else row[condition]
            prompt = render(compose(row["control"], injected))
            prompt += PLAIN if member(name).restates else ""
            for index, opening in enumerate(openings(row["control"])):
                texts.append(prompt + opening)
                for mark in marks(row["control"], index):
                    words.append(int(tokenizer(mark, add_special_tokens=False)["input_ids"][0]))
        found = mood_probabilities(model, tokenizer, texts, words)
        truth = torch.tensor(law)
        divergence = float((truth * (truth / found.clamp_min(1e-9)).log()).sum(1).mean())
        mean = found.mean(0).tolist()
        by_condition[condition] = (law, (mean[0], mean[1], mean[2]), divergence)
        largest = max(largest, float((found - truth).abs().max()))
    return Calibration(by_condition, largest)
