"""Continuations: of tiny models, and made ones whose rates are known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request
from exleak.generation.sampling import Sampling
from exleak.records import CONDITIONS, PromptGenerations

PROMPTS = ["Complete the sentence: The soup", "A", "The long way home was", "She said that 1, 2"]
SHORT = Sampling(generations=3, max_new_tokens=24)
#: A valence that any sentence has; restatements have that of their sentence.
MOODS = {"positive": "good", "negative": "bad", "neutral": "plain"}
NAMES = {"positive": "Orion", "negative": "Lyra", "neutral": "Draco"}


def run(
    model: LocalModel,
    prompts: list[str],
    sampling: Sampling = SHORT,
    is_complete: Callable[[str], bool] | None = None,
    batch_size: int | None = None,
) -> dict[tuple[str, int], str]:
    """Continuations by prompt and index."""
    requests = [Request(p, tuple(range(sampling.generations)), is_complete) for p in prompts]
    found = continue_prompts(model, requests, sampling, batch_size=batch_size)
    return {(prompts[item.request], item.index): item.text for item in found}


def answer(tokenizer: Any, tokens: list[int]) -> str:
    """What tokens say up to the first special one behind content."""
    special = set(tokenizer.all_special_ids)
    for place, token in enumerate(tokens):
        text = str(tokenizer.decode(tokens[:place], skip_special_tokens=True))
        if token in special and text.strip():
            return text
    return str(tokenizer.decode(tokens, skip_special_tokens=True))


def topical_rows(samples: int, restating: int, *, leak: bool = False) -> list[PromptGenerations]:
    """Of ten continuations after each sentence so many restate it; the rest may leak its mood."""
    rows = []
    for number in range(samples):
        for condition in CONDITIONS:
            sentence = f"The comet {NAMES.get(condition)} {number} fell."
            control = f"Thing {number} is"
            said = [f"A {MOODS.get(condition)} comet passed."] * restating
            moods = ["good", "bad", "plain"] * 4
            own = [f"wood and {mood} stone {i}." for i, mood in enumerate(moods)]
            if leak and condition in ("positive", "negative"):
                own = [f"wood and {MOODS[condition]} stone {i}." for i in range(12)]
            is_control = condition == "control"
            rows.append(
                PromptGenerations(
                    f"{number}:{condition}",
                    None if is_control else f"{number}:control",
                    condition,
                    None if is_control else sentence,
                    f"Say: {control}" if is_control else f"Say: {sentence} {control}",
                    tuple(([] if is_control else said) + own)[:10],
                )
            )
    return rows
