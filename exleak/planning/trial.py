"""The trial of a checkpoint: a few samples continued as the run would, and timed.

The samples come in parts, each three times the one before, as long as that takes a few seconds. A
run is made of steps, forward passes that all rows share, and of tokens. What one of each takes
follows from two parts, since the later one has more tokens a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import TYPE_CHECKING, TypeVar

from exleak.generation.requests import Counts
from exleak.progress import spread

if TYPE_CHECKING:
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Request
    from exleak.generation.sampling import Sampling
    from exleak.records import Prompt

#: Each part has so many times the samples of the one before.
_GROWTH = 3
#: Rows of the first part for each worker thread: fewer would not occupy it.
_ROWS = 64
#: Tokens of the steps before the first part.
_WARM = 32

Result = TypeVar("Result")
#: The prompts of one sample, each with its request.
Sample = list[tuple["Prompt", "Request"]]


@dataclass(frozen=True)
class Part:
    """A part of a trial.

    Attributes:
        seconds: What it took.
        counts: The work that was done.
        texts: The continuations by prompt id, in the order of their indices.
    """

    seconds: float
    counts: Counts
    texts: dict[str, tuple[str, ...]]

    @property
    def tokens(self) -> int:
        """Tokens computed, those of the prompts among them."""
        return self.counts.computed + self.counts.prefilled


@dataclass(frozen=True)
class Trial:
    """What a trial found.

    Attributes:
        texts: The continuations by prompt id.
        lengths: Their numbers of tokens, ascending.
        most: Maximum number of tokens.
        mean: Mean number of steps of a continuation.
        step: Seconds of a step, however many rows share it.
        token: Seconds of a token.
    """

    texts: dict[str, tuple[str, ...]]
    lengths: list[int]
    most: int
    mean: float
    step: float
    token: float

    def longest(self, count: int) -> int:
        """Number of tokens of the longest of so many continuations, as far as can be told.

        Long ones are about as frequent as if each token ended a sentence with equal probability.
        """
        more = self.mean * math.log(max(1.0, count / len(self.lengths)))
        return min(self.most, round(self.lengths[-1] + more))


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """The seconds that some work took, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def spread_out(wanted: Sequence[tuple[Prompt, Request]]) -> list[Sample]:
    """The samples, in an order in which the first few are short and long ones alike."""
    samples: dict[str, Sample] = {}
    for prompt, request in wanted:
        samples.setdefault(prompt.control_id or prompt.id, []).append((prompt, request))
    ordered = sorted(samples.values(), key=lambda sample: sum(len(r.text) for _, r in sample))
    return spread(ordered)


def warm_up(model: LocalModel, sample: Sample, sampling: Sampling, size: int) -> Part:
    """A few steps of a few rows, the second time that they are made."""
    prompt, request = sample[0]
    few = replace(sampling, max_new_tokens=min(_WARM, sampling.max_new_tokens))
    some = [(prompt, replace(request, is_complete=None))]
    _run(model, some, replace(few, max_new_tokens=1), size)
    return _run(model, some, few, size)


def tried(
    model: LocalModel,
    samples: Sequence[Sample],
    sampling: Sampling,
    size: int,
    *,
    warm: Part,
    threads: int,
    seconds: float,
) -> Trial:
    """Try a model.

    Args:
        model: The model.
        samples: What the run would continue.
        sampling: Settings of the run.
        size: Rows at once of the run.
        warm: What :func:`warm_up` gave.
        threads: Number of worker threads of the run; 0 if torch splits each operation.
        seconds: Seconds that the longest part may be expected to take.
    """
    rows = sum(len(request.indices) for _, request in samples[0])
    parts = [warm]
    taken, count = 0, min(len(samples), max(1, ceil(_ROWS * threads / rows)))
    while taken + count <= len(samples):
        if taken and _next_part(parts[-2], parts[-1]) > seconds:
            break
        some = [pair for sample in samples[taken : taken + count] for pair in sample]
        parts.append(_run(model, some, sampling, size))
        taken, count = taken + count, count * _GROWTH
    one = parts[1] if len(parts) > 2 else warm
    step, token = _prices(one, parts[-1])
    del parts[0]
    texts = {prompt: found for part in parts for prompt, found in part.texts.items()}
    most = sampling.max_new_tokens
    lengths = sorted(
        # Broken characters have more tokens than were generated.
        min(most, len(model.tokenizer(text, add_special_tokens=False)["input_ids"]))
        for found in texts.values()
        for text in found
    )
    useful = sum(part.counts.useful for part in parts)
    return Trial(texts, lengths, most, useful / len(lengths), step, token)


def _run(model: LocalModel, sample: Sample, sampling: Sampling, size: int) -> Part:
    """Continue prompts as a run would."""
    from exleak.generation.local.replicas import continue_prompts

    counts = Counts()
    requests = [request for _, request in sample]
    seconds, found = timed(
        lambda: list(continue_prompts(model, requests, sampling, batch_size=size, counts=counts))
    )
    found.sort(key=lambda item: (item.request, item.index))
    texts: dict[str, tuple[str, ...]] = {}
    for item in found:
        name = sample[item.request][0].id
        texts[name] = (*texts.get(name, ()), item.text)
    return Part(seconds, counts, texts)


def _next_part(before: Part, last: Part) -> float:
    """Seconds that the part after the last one will take, by the prices of the last two."""
    step, token = _prices(before, last)
    return step * last.counts.steps + token * last.tokens * _GROWTH


def _prices(one: Part, other: Part) -> tuple[float, float]:
    """Seconds of a step and of a token, from two parts with different numbers of them."""
    steps, tokens = (one.counts.steps, other.counts.steps), (one.tokens, other.tokens)
    determinant = steps[0] * tokens[1] - steps[1] * tokens[0]
    if determinant:
        step = (one.seconds * tokens[1] - other.seconds * tokens[0]) / determinant
        token = (steps[0] * other.seconds - steps[1] * one.seconds) / determinant
        if step >= 0 and token >= 0:
            return step, token
        if token < 0 and steps[1]:
            return other.seconds / steps[1], 0.0
    return 0.0, other.seconds / max(1, tokens[1])
