"""Plain batched ``generate`` for architectures whose rows are not independent of each other.

Recurrent, hybrid and compressed caches cannot be refilled row by row, nor can the cache of a model
that takes no positions and derives them from the cache length. These models get the same draws
through transformers' ``generate`` loop, which is slower: a batch ends when its last row does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    StoppingCriteria,
    StoppingCriteriaList,
)

from exleak.errors import ModelError
from exleak.generation.draws import BROKEN, next_tokens, stream, uniforms
from exleak.generation.local.changes import while_needed
from exleak.generation.local.context import room
from exleak.generation.local.model import LocalModel
from exleak.generation.local.trial import NOT_NUMBERS, is_close, on_trial, trial_tokens
from exleak.generation.requests import Continued, Counts, Request
from exleak.generation.sampling import Sampling
from exleak.remarks import remark

#: Fields kept from a checkpoint's generation configuration.
_FIRST = ("bos_token_id", "decoder_start_token_id")


@dataclass
class _Batch:
    """Rows that are generated together.

    Attributes:
        rows: Request and generation index of each row.
        width: Length of each prompt in tokens.
        ends: Number of new tokens of each finished row, up to the stop token or the token that
            showed its sentence to be complete.
    """

    model: LocalModel
    sampling: Sampling
    rows: list[tuple[Request, int]]
    width: int

    def __post_init__(self) -> None:
        self.stops = sorted(self.model.stop_tokens)
        self.ends: list[int | None] = [None] * len(self.rows)

    def stopped(self, token: int, before: torch.Tensor) -> bool:
        """Whether a token ends a row, given the tokens before it."""
        if token in self.stops:
            return True
        ends = self.model.turns.ends
        return token in ends and self.model.ends(before[self.width :].tolist(), token)

    def texts(self, new: torch.Tensor) -> list[str]:
        """The text of each row of new tokens, up to its end."""
        kept = [row[:end] for row, end in zip(new.tolist(), self.ends, strict=True)]
        return [
            self.model.decode(row[:-1] if row and row[-1] in self.stops else row) for row in kept
        ]


class _Draw(LogitsProcessor):
    """Logits processor that leaves only the token of our own draw."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch
        seed = batch.sampling.seed
        self.keys = [stream(seed, request.text, index) for request, index in batch.rows]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        batch = self.batch
        streams = torch.tensor(self.keys, device=scores.device)
        new = input_ids.shape[1] - batch.width
        uniform = uniforms(streams, torch.full_like(streams, new))
        drawn, tokens = next_tokens(scores.clone(), input_ids, batch.sampling, uniform)
        for row, token in enumerate(tokens):
            # A finished row stays in its batch; its logits may be broken.
            if batch.ends[row] is None and token == BROKEN:
                prompt = batch.rows[row][0].text[:80]
                raise ModelError(f"model {batch.model.name}: after {prompt!r}: {NOT_NUMBERS}")
            if batch.ends[row] is None and batch.stopped(token, input_ids[row]):
                batch.ends[row] = new + 1
        drawn = drawn.clamp(min=0).unsqueeze(1)
        return torch.full_like(scores, -torch.inf).scatter_(1, drawn, 0.0)


class _Complete(StoppingCriteria):
    """Stopping criterion: the row's first sentence is complete."""

    def __init__(self, batch: _Batch) -> None:
        self.batch = batch

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        batch = self.batch
        for row, tokens in enumerate(input_ids[:, batch.width :].tolist()):
            is_complete = batch.rows[row][0].is_complete
            if batch.ends[row] is None and is_complete and is_complete(batch.model.decode(tokens)):
                batch.ends[row] = len(tokens)
        return torch.tensor([end is not None for end in batch.ends], device=input_ids.device)


def continue_plainly(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    batch_size: int,
    counts: Counts,
    why: str,
) -> Iterator[Continued]:
    """Continue every request with plain ``generate``.

    Arguments, results and errors are those of
    :func:`exleak.generation.local.run.continue_prompts`; ``why`` is the reason why the fast path
    was refused, which is reported and noted in ``counts``.
    """
    kind = type(model.model).__name__
    with on_trial(model), own_settings_ignored(model.model):
        apart = _keeps_rows_apart(model)
    if not apart:
        batch_size = 1
    how = "with plain batches" if apart else "one after the other, as they change each other"
    note = (
        f"rows of {kind} cannot be refilled one by one; generated {how}, slower, with the same "
        f"draws ({why})"
    )
    remark(f"model {model.name}: {note}", stacklevel=2)
    if note not in counts.notes:
        counts.notes.append(note)
    tokens = {
        number: model.encode(request.text)
        for number, request in enumerate(requests)
        if request.indices
    }

    most = sampling.max_new_tokens
    new = {n: room(model, requests[n].text, len(ids), most) for n, ids in tokens.items()}

    def length(number: int) -> int:
        return len(tokens[number])

    # Only prompts of equal length share a batch: some recurrent models treat padding as text.
    for _, numbers in groupby(sorted(tokens, key=length), length):
        rows = [(number, index) for number in numbers for index in requests[number].indices]
        for first in range(0, len(rows), batch_size):
            some = rows[first : first + batch_size]
            wanted = [(requests[number], index) for number, index in some]
            ids = torch.tensor([tokens[number] for number, _ in some], device=model.device)
            batch = _Batch(model, sampling, wanted, ids.shape[1])
            texts = _generate(batch, ids, new[some[0][0]], counts)
            for (number, index), text in zip(some, texts, strict=True):
                yield Continued(number, index, text)


def _keeps_rows_apart(model: LocalModel) -> bool:
    """Whether rows have the same logits in one batch as alone."""
    row = trial_tokens(model.config)
    ids = torch.tensor([row, row[::-1], row], device=model.device)
    settings = GenerationConfig(max_new_tokens=2, return_dict_in_generate=True, output_logits=True)

    def logits(ids: torch.Tensor) -> torch.Tensor:
        output = model.model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=settings
        )
        return torch.stack(output.logits)

    alone = [logits(one.unsqueeze(0)) for one in ids]
    return is_close(logits(ids), torch.cat(alone, dim=1))


def _generate(batch: _Batch, ids: torch.Tensor, most: int, counts: Counts) -> list[str]:
    """Generate the texts of a batch.

    Args:
        batch: The rows.
        ids: Their prompts, int64, shape (rows, tokens).
        most: Maximum number of new tokens.
        counts: Updated.
    """
    model, settings = batch.model, GenerationConfig(max_new_tokens=most)
    with own_settings_ignored(model.model):
        output = model.model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=settings,
            logits_processor=LogitsProcessorList([_Draw(batch)]),
            stopping_criteria=StoppingCriteriaList([_Complete(batch)]),
        )
    new = output[:, batch.width :]
    counts.prefilled += ids.numel()
    counts.steps += new.shape[1]
    counts.computed += new.numel()
    counts.useful += sum(new.shape[1] if end is None else end for end in batch.ends)
    return batch.texts(new)


@contextmanager
def own_settings_ignored(model: PreTrainedModel) -> Iterator[None]:
    """Keep a checkpoint's generation settings, except its first tokens, out of ``generate``.

    ``generate`` uses them as defaults: beams, a list of forbidden words, a length. The caller
    decides where rows end.
    """
    with ExitStack() as stack:
        for module in model.modules():
            if "generation_config" in vars(module):
                stack.enter_context(_own_settings_ignored_in(module))
        yield


@while_needed
@contextmanager
def _own_settings_ignored_in(module: Any) -> Iterator[None]:
    before = module.generation_config
    first = {name: getattr(before, name, None) for name in _FIRST}
    module.generation_config = GenerationConfig(**first)
    try:
        yield
    finally:
        module.generation_config = before
