"""The engine: prefill each prompt once, fan out, retire, refill.

A row is one continuation in the making. Every step gives each row one token; a row whose first
sentence is complete leaves, and the next one of the queue takes its slot. Which rows share a step
changes nothing, because each draw is a function of (seed, prompt text, generation index, position).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from exleak.errors import ModelError
from exleak.generation.checkpoint import LocalModel, takes_positions
from exleak.generation.local import Continued, Counts, Request, check_logits
from exleak.generation.sampling import Sampling, draw, penalise, stream, uniforms, warp
from exleak.generation.slots import COLUMN_STEP, SlotCache, can_be_slotted, is_slotted

#: Prompts that are prefilled together.
_PREFILL = 32
#: With the queue empty, dead slots are dropped when fewer than this share is alive.
_SHRINK = 0.85
#: A token made of these cannot end a sentence.
_HARMLESS = frozenset(" ,'-")


@dataclass
class _Chunk:
    """Prompts prefilled together: their cache, last logits, lengths and seen tokens."""

    numbers: list[int]
    cache: DynamicCache
    logits: torch.Tensor
    lengths: torch.Tensor
    seen: torch.Tensor

    @property
    def width(self) -> int:
        return int(self.cache.layers[0].keys.shape[2])


@dataclass
class _Row:
    """What is known of a slot's row on the host."""

    request: int
    index: int
    tokens: list[int]
    watched: bool = False


class Engine:
    """A run over some requests; the tensors have one entry for each slot."""

    def __init__(
        self,
        model: LocalModel,
        requests: Sequence[Request],
        sampling: Sampling,
        size: int,
        counts: Counts,
    ) -> None:
        self.model, self.requests, self.sampling = model, requests, sampling
        self.counts = counts
        self.tokens = [model.encode(request.text) for request in requests]
        self.room = [self._room(number) for number in range(len(requests))]
        # Longest first: the cache then starts as wide as it has to be.
        order = sorted(range(len(requests)), key=lambda number: -len(self.tokens[number]))
        self.queue = deque(number for number in order if requests[number].indices)
        self.pending: deque[tuple[_Chunk, int, int]] = deque()
        self.size = min(size, sum(len(request.indices) for request in requests))
        self.stops = model.stop_tokens
        self.may_end: dict[int, bool] = {}
        self.live: dict[int, _Row] = {}
        self.free: list[int] = []
        self.stopped = False

    def _room(self, number: int) -> int:
        """New tokens that a prompt's context has room for."""
        longest = getattr(self.model.model.config, "max_position_embeddings", None)
        length = len(self.tokens[number])
        if not isinstance(longest, int) or longest <= 0:
            return self.sampling.max_new_tokens
        if length >= longest:
            raise ModelError(
                f"model {self.model.name}: a prompt of {length} tokens leaves no room in its "
                f"context of {longest}: {self.requests[number].text[:80]!r}"
            )
        return min(self.sampling.max_new_tokens, longest - length)

    def is_possible(self) -> bool:
        """Prefill the first prompts; whether the architecture's rows are independent."""
        model = self.model.model
        if not takes_positions(model) or not can_be_slotted(model.config):
            return False
        chunk = self._prefill()
        if not is_slotted(chunk.cache):
            return False
        self._allocate(chunk)
        self._enqueue(chunk)
        return True

    def run(self) -> Iterator[Continued]:
        """Refill and step until nothing is left, or until somebody says ``stopped``."""
        while not self.stopped:
            yield from self._refill()
            if not self.live:
                return
            yield from self._step()

    def _allocate(self, chunk: _Chunk) -> None:
        self.cache = SlotCache(chunk.cache, self.size, chunk.width + COLUMN_STEP)
        self.cache.column = chunk.width
        device, size = self.model.device, self.size
        self.free = list(range(size - 1, -1, -1))
        self.last = torch.zeros(size, dtype=torch.long, device=device)
        self.start = torch.full((size,), chunk.width, dtype=torch.long, device=device)
        self.streams = torch.zeros(size, dtype=torch.long, device=device)
        self.drawn = torch.zeros(size, dtype=torch.long, device=device)
        self.seen = torch.zeros((size, chunk.logits.shape[1]), dtype=torch.bool, device=device)

    @torch.inference_mode()
    def _prefill(self) -> _Chunk:
        """Run the next prompts of the queue through the model, left-padded."""
        numbers = [self.queue.popleft() for _ in range(min(_PREFILL, len(self.queue)))]
        tokens = [self.tokens[number] for number in numbers]
        width, device = max(map(len, tokens)), self.model.device
        ids = torch.tensor([[0] * (width - len(t)) + t for t in tokens], device=device)
        lengths = torch.tensor([len(t) for t in tokens], device=device)
        mask = torch.arange(width, device=device) >= (width - lengths).unsqueeze(1)
        positions = (mask.long().cumsum(dim=1) - 1).clamp_(min=0)
        cache = DynamicCache()
        logits = self._forward(ids, mask, positions, cache)
        seen = torch.zeros(logits.shape, dtype=torch.bool, device=device)
        rows = torch.arange(len(numbers), device=device).unsqueeze(1).expand_as(ids)
        seen[rows[mask], ids[mask]] = True
        self.counts.prefilled += sum(map(len, tokens))
        return _Chunk(numbers, cache, logits, lengths, seen)

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Logits of the last column, float32, shape (rows, vocabulary)."""
        output = self.model.model(
            input_ids=ids,
            attention_mask=mask.long(),
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def _enqueue(self, chunk: _Chunk) -> None:
        for row, number in enumerate(chunk.numbers):
            self.pending.extend((chunk, row, index) for index in self.requests[number].indices)

    @torch.inference_mode()
    def _refill(self) -> list[Continued]:
        """Give free slots to the next rows, and draw their first token from the prefill."""
        finished: list[Continued] = []
        while self.free:
            if not self.pending:
                if not self.queue:
                    self._shrink()
                    break
                self._enqueue(self._prefill())
            chunk = self.pending[0][0]
            rows: list[int] = []
            slots: list[int] = []
            while self.free and self.pending and self.pending[0][0] is chunk:
                _, row, index = self.pending.popleft()
                rows.append(row)
                slots.append(self.free.pop())
                self.live[slots[-1]] = _Row(chunk.numbers[row], index, [])
            self._seat(chunk, slots, rows)
            finished += self._draw(slots, chunk.logits[rows])
        return finished

    def _seat(self, chunk: _Chunk, slots: list[int], rows: list[int]) -> None:
        """Put prefilled rows into slots."""
        if chunk.width > self.cache.column:
            self._move(self.cache.column - chunk.width)
        device = self.model.device
        at, source = torch.tensor(slots, device=device), torch.tensor(rows, device=device)
        self.cache.insert(at, chunk.cache, source)
        self.start[at] = self.cache.column - chunk.lengths[source]
        self.seen[at] = chunk.seen[source]
        self.drawn[at] = 0
        keys = [
            stream(self.sampling.seed, self.requests[row.request].text, row.index)
            for row in (self.live[slot] for slot in slots)
        ]
        self.streams[at] = torch.tensor(keys, device=device)

    @torch.inference_mode()
    def _step(self) -> list[Continued]:
        """One token for every slot."""
        if self.cache.column == self.cache.columns:
            self._move(int(self.start.min()))
        column = self.cache.column
        columns = torch.arange(column + 1, device=self.start.device)
        mask = columns >= self.start.unsqueeze(1)
        positions = (column - self.start).unsqueeze(1)
        logits = self._forward(self.last.unsqueeze(1), mask, positions, self.cache)
        self.cache.column = column + 1
        self.counts.computed += self.size
        self.counts.useful += len(self.live)
        slots = sorted(self.live)
        return self._draw(slots, logits if len(slots) == self.size else logits[slots])

    def _draw(self, slots: list[int], logits: torch.Tensor) -> list[Continued]:
        """Draw the next token of these slots and retire those that are done."""
        check_logits(logits, lambda row: self._where(slots[row]))
        all_slots = slots == list(range(self.size))
        at: Any = slice(None) if all_slots else torch.tensor(slots, device=logits.device)
        penalised = penalise(logits, self.seen[at], self.sampling.repetition_penalty)
        ids, probabilities = warp(penalised, self.sampling)
        drawn = draw(ids, probabilities, uniforms(self.streams[at], self.drawn[at]))
        self.last[at] = drawn
        self.drawn[at] += 1
        if all_slots:
            self.seen.scatter_(1, drawn.unsqueeze(1), True)
        else:
            self.seen[at, drawn] = True
        finished, freed = [], []
        for slot, token in zip(slots, drawn.tolist(), strict=True):
            row = self.live[slot]
            if self._advance(row, token):
                finished.append(Continued(row.request, row.index, self.model.decode(row.tokens)))
                freed.append(slot)
                del self.live[slot]
        if freed:
            self.free += freed
            # A dead row attends to the newest column alone, and holds back no old one.
            self.start[torch.tensor(freed, device=logits.device)] = self.cache.column
        return finished

    def _where(self, slot: int) -> str:
        row = self.live[slot]
        prompt = self.requests[row.request].text[:80]
        return f"{self.model.name}: after {len(row.tokens)} new tokens of {prompt!r}"

    def _advance(self, row: _Row, token: int) -> bool:
        """Add a token to a row; whether that finished it."""
        if token in self.stops:
            return True
        row.tokens.append(token)
        if len(row.tokens) >= self.room[row.request]:
            return True
        is_complete = self.requests[row.request].is_complete
        if is_complete is None:
            return False
        row.watched = row.watched or self._may_end(token)
        return row.watched and is_complete(self.model.decode(row.tokens))

    def _may_end(self, token: int) -> bool:
        """Whether a token holds anything that could end a sentence."""
        if token not in self.may_end:
            piece = self.model.decode([token])
            self.may_end[token] = not piece or not all(
                character.isalnum() or character in _HARMLESS for character in piece
            )
        return self.may_end[token]

    def _move(self, left: int) -> None:
        """Drop columns that no row needs, or make room for more."""
        used = self.cache.column - left
        self.cache.shift(left, -(-(used + 1) // COLUMN_STEP) * COLUMN_STEP)
        self.start -= left

    def _shrink(self) -> None:
        """With the queue empty, drop dead slots; in coarse steps, so that shapes repeat."""
        alive = len(self.live)
        if not alive or alive > _SHRINK * self.size:
            return
        kept = sorted(self.live)
        rows = torch.tensor(kept, device=self.start.device)
        self.cache.select(rows)
        for name in ("last", "start", "streams", "drawn", "seen"):
            setattr(self, name, getattr(self, name)[rows])
        self.live = {new: self.live[old] for new, old in enumerate(kept)}
        self.free, self.size = [], alive
