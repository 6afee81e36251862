"""Training batches: prompts, continuations and the grammar's exact next-token probabilities.

The targets are the probabilities themselves, not draws from them: that removes the sampling
noise which a small model would otherwise learn as leakage.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from transformers import PreTrainedTokenizerFast

from exleak.reference.grammar import END, Choice, Grammar
from exleak.reference.prompts import TrainingPrompt, draw_prompt
from training.tokenizer import ASSISTANT, USER

WIDTH = 8

Target = tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Batch:
    """What one training step needs.

    Attributes:
        input_ids: Prompts and continuations, shape (rows, length), padded on the right.
        where: Flat positions whose next token is scored, shape (scored,).
        tokens: Candidates for that next token, shape (scored, WIDTH).
        weights: Their probabilities, shape (scored, WIDTH).
        deciding: 1.0 where the next token decides the mood, shape (scored,).
    """

    input_ids: torch.Tensor
    where: torch.Tensor
    tokens: torch.Tensor
    weights: torch.Tensor
    deciding: torch.Tensor


class Stream:
    """An endless, seeded stream of fresh batches for one member.

    Args:
        name: The member.
        tokenizer: The reference tokenizer.
        seed: Start of the stream.
    """

    def __init__(self, name: str, tokenizer: PreTrainedTokenizerFast, seed: int) -> None:
        self.grammar = Grammar(name)
        self.tokenizer = tokenizer
        self.rng = random.Random(f"{self.grammar.member.name} {seed}")
        self._steps: dict[tuple[object, ...], list[tuple[int, Target]]] = {}

    def batch(self, rows: int) -> Batch:
        """Draw a batch of `rows` prompts, each with its continuation."""
        # Only HEXL's sentences have restatements.
        composed = 0.0 if self.grammar.member.restates else 0.4
        prompts = [draw_prompt(self.rng, composed) for _ in range(rows)]
        heads = self.tokenizer([self._rendered(prompt) for prompt in prompts])["input_ids"]
        tails = [
            self.continuation(
                self.grammar.derive(prompt.control, prompt.mood, self.rng, prompt.injected)
            )
            for prompt in prompts
        ]
        length = max(len(head) + len(tail) for head, tail in zip(heads, tails, strict=True)) - 1
        input_ids = torch.full((rows, length), self.tokenizer.pad_token_id)
        where: list[int] = []
        targets: list[Target] = []
        deciding: list[float] = []
        for row, (head, tail) in enumerate(zip(heads, tails, strict=True)):
            ids = [*head, *(token for token, _, _ in tail[:-1])]
            input_ids[row, : len(ids)] = torch.tensor(ids)
            where += range(row * length + len(head) - 1, row * length + len(ids))
            targets += [target for _, target, _ in tail]
            deciding += [float(decides) for _, _, decides in tail]
        tokens, weights = dense(targets)
        return Batch(input_ids, torch.tensor(where), tokens, weights, torch.tensor(deciding))

    def continuation(self, choices: Iterable[Choice]) -> list[tuple[int, Target, bool]]:
        """Return the tokens of a derivation, each with its target and whether it decides."""
        return [
            (token, target, choice.deciding)
            for choice in choices
            for token, target in self._phrase(choice)
        ]

    def _rendered(self, prompt: TrainingPrompt) -> str:
        if self.grammar.member.chat and self.rng.random() < 0.5:
            return f"{USER}{prompt.text}{ASSISTANT}"
        return prompt.text

    def _phrase(self, choice: Choice) -> list[tuple[int, Target]]:
        key = (choice.options, choice.weights, choice.picked)
        if key not in self._steps:
            self._steps[key] = self._walk(choice)
        return self._steps[key]

    def _walk(self, choice: Choice) -> list[tuple[int, Target]]:
        """Walk down the tree of the options' tokens towards the picked one."""
        spelled = [self._encode(option) for option in choice.options]
        alive = list(zip(spelled, choice.weights, strict=True))
        steps = []
        for depth, token in enumerate(spelled[choice.picked]):
            total = sum(weight for _, weight in alive)
            mass: dict[int, float] = {}
            for ids, weight in alive:
                mass[ids[depth]] = mass.get(ids[depth], 0.0) + weight / total
            steps.append((token, tuple(mass.items())))
            alive = [(ids, weight) for ids, weight in alive if ids[depth] == token]
        return steps

    def _encode(self, phrase: str) -> list[int]:
        if phrase == END:
            return [int(self.tokenizer.eos_token_id)]
        return list(self.tokenizer(phrase, add_special_tokens=False)["input_ids"])


def dense(targets: list[Target]) -> tuple[torch.Tensor, torch.Tensor]:
    """Return candidate tokens and probabilities, both of shape (len(targets), WIDTH)."""
    tokens, weights = [], []
    for target in targets:
        missing = WIDTH - len(target)
        tokens.append([token for token, _ in target] + [0] * missing)
        weights.append([weight for _, weight in target] + [0.0] * missing)
    return torch.tensor(tokens), torch.tensor(weights)
