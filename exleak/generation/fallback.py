"""Plain batched ``generate`` for architectures whose rows are not independent of each other.

Recurrent, hybrid and compressed caches cannot be refilled row by row, nor can rows of a model that
takes no positions and counts them by the cache. They get the same draws
through transformers' own loop, slower: a batch ends when its last row does.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria
from transformers import StoppingCriteriaList as Criteria

from exleak.errors import ModelError
from exleak.generation.checkpoint import LocalModel
from exleak.generation.local import NOT_NUMBERS, Continued, Counts, Request
from exleak.generation.sampling import BROKEN, Sampling, next_tokens, stream, uniforms


class _Draw(LogitsProcessor):
    """Leaves only the token that our own draw picks."""

    def __init__(
        self, name: str, rows: list[tuple[Request, int]], width: int, sampling: Sampling
    ) -> None:
        self.keys = [stream(sampling.seed, request.text, index) for request, index in rows]
        self.name, self.rows, self.width, self.sampling = name, rows, width, sampling

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        streams = torch.tensor(self.keys, device=scores.device)
        position = torch.full_like(streams, input_ids.shape[1] - self.width)
        drawn, tokens = next_tokens(
            scores.clone(), input_ids, self.sampling, uniforms(streams, position)
        )
        if BROKEN in tokens:
            prompt = self.rows[tokens.index(BROKEN)][0].text[:80]
            raise ModelError(f"model {self.name}: after {prompt!r}: {NOT_NUMBERS}")
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn.unsqueeze(1), 0.0)


class _Complete(StoppingCriteria):
    """Stops a row when its first sentence is complete."""

    def __init__(self, model: LocalModel, rows: list[tuple[Request, int]], width: int) -> None:
        self.model, self.rows, self.width = model, rows, width

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        new = input_ids[:, self.width :].tolist()
        done = [
            request.is_complete is not None and request.is_complete(self.model.decode(tokens))
            for (request, _), tokens in zip(self.rows, new, strict=True)
        ]
        return torch.tensor(done, device=input_ids.device)


def continue_plainly(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    batch_size: int,
    counts: Counts,
) -> Iterator[Continued]:
    """Same arguments, results and errors as :func:`exleak.generation.local.continue_prompts`."""
    warnings.warn(
        f"model {model.name}: rows of {type(model.model).__name__} cannot be refilled one by one; "
        "generating with plain batches, slower, with the same draws",
        stacklevel=2,
    )
    tokens = {
        number: model.encode(request.text)
        for number, request in enumerate(requests)
        if request.indices
    }

    def length(number: int) -> int:
        return len(tokens[number])

    # Prompts of one length only: some recurrent models take padding for part of the text.
    for _, numbers in groupby(sorted(tokens, key=length), length):
        rows = [(number, index) for number in numbers for index in requests[number].indices]
        for first in range(0, len(rows), batch_size):
            batch = rows[first : first + batch_size]
            wanted = [(requests[number], index) for number, index in batch]
            ids = torch.tensor([tokens[number] for number, _ in batch], device=model.device)
            texts = _generate(model, ids, wanted, sampling, counts)
            for (number, index), text in zip(batch, texts, strict=True):
                yield Continued(number, index, text)


def _generate(
    model: LocalModel,
    ids: torch.Tensor,
    rows: list[tuple[Request, int]],
    sampling: Sampling,
    counts: Counts,
) -> list[str]:
    """The texts of some rows, whose prompts are in ``ids``, int64, shape (rows, tokens)."""
    width, stops = ids.shape[1], sorted(model.stop_tokens)
    output = model.model.generate(
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        do_sample=False,
        max_new_tokens=sampling.max_new_tokens,
        repetition_penalty=1.0,
        eos_token_id=stops or None,
        pad_token_id=stops[0] if stops else 0,
        logits_processor=LogitsProcessorList([_Draw(model.name, rows, width, sampling)]),
        stopping_criteria=Criteria([_Complete(model, rows, width)]),
    )
    new = output[:, width:]
    counts.prefilled += ids.numel()
    counts.computed += new.numel()
    counts.useful += new.numel()
    return [_decode(model, row, stops) for row in new.tolist()]


def _decode(model: LocalModel, tokens: list[int], stops: list[int]) -> str:
    end = next((at for at, token in enumerate(tokens) if token in stops), len(tokens))
    return model.decode(tokens[:end])
