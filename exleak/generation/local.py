"""Generation on this machine: prefill each prompt once, fan out, retire, refill.

Rows are the unit of work: one row is one continuation in the making. Every step gives each row one
token; a row whose first sentence is complete leaves, and the next one of the queue takes its slot.
Which rows share a step changes nothing, because each draw is a function of (seed, prompt text,
generation index, position) alone.
"""

from __future__ import annotations

import inspect
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import DynamicCache

from exleak.errors import ModelError
from exleak.generation.checkpoint import LocalModel
from exleak.generation.sampling import Sampling, draw, penalise, stream, uniforms, warp
from exleak.generation.slots import COLUMN_STEP, SlotCache, can_be_slotted, is_slotted

#: Live rows at once, by default.
DEFAULT_ROWS = 640
#: Prompts that are prefilled together.
_PREFILL = 32


@dataclass(frozen=True)
class Request:
    """One prompt to continue.

    Attributes:
        text: The rendered prompt; the draws are keyed by it.
        indices: Which generations are wanted, usually 0 to K - 1.
        is_complete: Whether a continuation may end here; ``None`` runs to the end.
    """

    text: str
    indices: tuple[int, ...]
    is_complete: Callable[[str], bool] | None = None


@dataclass(frozen=True)
class Continued:
    """A finished continuation: the request's number, the generation's index and its raw text."""

    request: int
    index: int
    text: str


@dataclass
class Counts:
    """What a run computed: decoded rows in all, and those that became text."""

    computed: int = 0
    useful: int = 0
    prefilled: int = 0


def continue_prompts(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    counts: Counts | None = None,
) -> Iterator[Continued]:
    """Continue every request, in whatever order they finish.

    Args:
        model: The loaded checkpoint.
        requests: Prompts with the generations wanted of each.
        sampling: Settings; ``sampling.generations`` is not used here.
        batch_size: Most rows at once; changes speed and memory, not the result.
        counts: Filled in while the run goes on.

    Yields:
        One :class:`Continued` for each request and index.

    Raises:
        ModelError: A prompt longer than the model's context, or logits that are not numbers.
    """
    if not requests:
        return
    with torch.inference_mode():
        engine = _Engine(model, requests, sampling, batch_size or DEFAULT_ROWS, counts or Counts())
        yield from engine.run()


@dataclass
class _Chunk:
    """Prompts prefilled together: their cache, last logits, lengths and seen tokens."""

    numbers: list[int]
    cache: DynamicCache
    logits: torch.Tensor
    lengths: list[int]
    seen: torch.Tensor


def check_logits(logits: torch.Tensor, where: Callable[[int], str]) -> None:
    """Refuse logits that are not numbers.

    Args:
        logits: Shape (rows, vocabulary).
        where: Describes a row, for the message.

    Raises:
        ModelError: A row's highest logit is NaN or infinite.
    """
    best = logits.amax(dim=-1)
    if bool(torch.isfinite(best).all()):
        return
    row = int((~torch.isfinite(best)).nonzero()[0])
    raise ModelError(
        f"model {where(row)}: the logits are {float(best[row])}; "
        "the weights are broken, or overflow in this dtype (try --leakage-dtype float32)"
    )


class _Engine:
    """The state of a run; the tensors have one entry for each slot."""

    def __init__(
        self,
        model: LocalModel,
        requests: Sequence[Request],
        sampling: Sampling,
        rows: int,
        counts: Counts,
    ) -> None:
        self.model, self.requests, self.sampling = model, requests, sampling
        self.counts = counts
        self.tokens = [model.encode(request.text) for request in requests]
        self.room = self._room()
        # Longest first: the cache then starts as wide as it has to be.
        order = sorted(range(len(requests)), key=lambda number: -len(self.tokens[number]))
        self.queue = deque(number for number in order if requests[number].indices)
        self.pending: deque[tuple[_Chunk, int, int]] = deque()
        total = sum(len(request.indices) for request in requests)
        self.size = min(rows, total)
        self.stops = model.stop_tokens
        self.takes_positions = "position_ids" in inspect.signature(model.model.forward).parameters
        self.watchable: dict[int, bool] = {}
        self.cache: SlotCache | None = None

    def _room(self) -> list[int]:
        """New tokens that fit each prompt."""
        longest = getattr(self.model.model.config, "max_position_embeddings", None)
        room = []
        for request, ids in zip(self.requests, self.tokens, strict=True):
            left = self.sampling.max_new_tokens
            if isinstance(longest, int) and longest > 0:
                left = min(left, longest - len(ids))
            if left < 1:
                raise ModelError(
                    f"model {self.model.name}: a prompt of {len(ids)} tokens leaves no room in its "
                    f"context of {longest}: {request.text[:80]!r}"
                )
            room.append(left)
        return room

    def run(self) -> Iterator[Continued]:
        """Refill and step until nothing is left."""
        chunk = self._prefill() if can_be_slotted(self.model.model.config) else None
        if chunk is None or not is_slotted(chunk.cache):
            from exleak.generation.fallback import continue_plainly

            yield from continue_plainly(
                self.model, self.requests, self.sampling, self.size, self.counts
            )
            return
        self._allocate(chunk)
        self._enqueue(chunk)
        while True:
            yield from self._refill()
            if not self.live:
                return
            yield from self._step()

    def _allocate(self, chunk: _Chunk) -> None:
        width = chunk.cache.layers[0].keys.shape[2]
        self.cache = SlotCache(chunk.cache, self.size, width + COLUMN_STEP)
        self.cache.column = width
        device, size = self.model.device, self.size
        self.live: dict[int, tuple[int, int]] = {}
        self.free = list(range(size - 1, -1, -1))
        self.watched: set[int] = set()
        self.texts: list[list[int]] = [[] for _ in range(size)]
        self.last = torch.zeros(size, dtype=torch.long, device=device)
        self.start = torch.full((size,), width, dtype=torch.long, device=device)
        self.streams = torch.zeros(size, dtype=torch.long, device=device)
        self.drawn = torch.zeros(size, dtype=torch.long, device=device)
        self.seen = torch.zeros((size, chunk.logits.shape[1]), dtype=torch.bool, device=device)

    def _prefill(self) -> _Chunk:
        """Run the next prompts of the queue through the model, left-padded."""
        numbers = [self.queue.popleft() for _ in range(min(_PREFILL, len(self.queue)))]
        lengths = [len(self.tokens[number]) for number in numbers]
        width = max(lengths)
        padded = [[0] * (width - len(t)) + t for t in (self.tokens[n] for n in numbers)]
        ids = torch.tensor(padded, device=self.model.device)
        mask = torch.arange(width, device=ids.device) >= width - torch.tensor(
            lengths, device=ids.device
        ).unsqueeze(1)
        cache = DynamicCache()
        positions = (mask.long().cumsum(dim=1) - 1).clamp_(min=0)
        logits = self._forward(ids, mask, positions, cache)
        seen = torch.zeros(logits.shape, dtype=torch.bool, device=ids.device)
        rows = torch.arange(len(numbers), device=ids.device).unsqueeze(1).expand_as(ids)
        seen[rows[mask], ids[mask]] = True
        self.counts.prefilled += sum(lengths)
        return _Chunk(numbers, cache, logits, lengths, seen)

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: Any
    ) -> torch.Tensor:
        """Logits of the last column, float32, shape (rows, vocabulary)."""
        arguments: dict[str, Any] = {"position_ids": positions} if self.takes_positions else {}
        output = self.model.model(
            input_ids=ids,
            attention_mask=mask.long(),
            past_key_values=cache,
            use_cache=True,
            **arguments,
        )
        logits: torch.Tensor = output.logits[:, -1].float()
        return logits

    def _enqueue(self, chunk: _Chunk) -> None:
        for row, number in enumerate(chunk.numbers):
            self.pending.extend((chunk, row, index) for index in self.requests[number].indices)

    def _refill(self) -> Iterator[Continued]:
        """Give free slots to the next rows, and draw their first token from the prefill."""
        assert self.cache is not None
        while self.free:
            if not self.pending:
                if not self.queue:
                    self._shrink()
                    return
                self._enqueue(self._prefill())
            chunk = self.pending[0][0]
            rows: list[tuple[int, int]] = []
            while self.pending and self.pending[0][0] is chunk and len(rows) < len(self.free):
                _, row, index = self.pending.popleft()
                rows.append((row, index))
            slots = [self.free.pop() for _ in rows]
            self._seat(chunk, slots, rows)
            yield from self._draw(slots, chunk.logits[[row for row, _ in rows]])

    def _seat(self, chunk: _Chunk, slots: list[int], rows: list[tuple[int, int]]) -> None:
        """Put prefilled rows into slots."""
        assert self.cache is not None
        width = chunk.cache.layers[0].keys.shape[2]
        if width > self.cache.column:
            self._move(self.cache.column - width)
        device = self.model.device
        at = torch.tensor(slots, device=device)
        source = torch.tensor([row for row, _ in rows], device=device)
        self.cache.insert(at, chunk.cache, source)
        lengths = torch.tensor(chunk.lengths, device=device)
        self.start[at] = self.cache.column - lengths[source]
        self.seen[at] = chunk.seen[source]
        self.drawn[at] = 0
        keys = []
        for slot, (row, index) in zip(slots, rows, strict=True):
            number = chunk.numbers[row]
            self.live[slot] = (number, index)
            self.texts[slot] = []
            keys.append(stream(self.sampling.seed, self.requests[number].text, index))
        self.streams[at] = torch.tensor(keys, device=device)

    def _step(self) -> Iterator[Continued]:
        """One token for every slot."""
        assert self.cache is not None
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
        yield from self._draw(slots, logits if len(slots) == self.size else logits[slots])

    def _draw(self, slots: list[int], logits: torch.Tensor) -> Iterator[Continued]:
        """Draw the next token of these slots and retire those that are done."""
        at = torch.tensor(slots, device=logits.device)
        check_logits(logits, lambda row: self._where(slots[row]))
        penalised = penalise(logits, self.seen[at], self.sampling.repetition_penalty)
        ids, probabilities = warp(penalised, self.sampling)
        drawn = draw(ids, probabilities, uniforms(self.streams[at], self.drawn[at]))
        self.last[at] = drawn
        self.drawn[at] += 1
        self.seen[at, drawn] = True
        for slot, token in zip(slots, drawn.tolist(), strict=True):
            text = self._advance(slot, token)
            if text is not None:
                number, index = self.live.pop(slot)
                self.watched.discard(slot)
                self.free.append(slot)
                self.start[slot] = self.cache.column if self.cache else 0
                yield Continued(number, index, text)

    def _where(self, slot: int) -> str:
        number, _ = self.live[slot]
        prompt = self.requests[number].text[:80]
        return f"{self.model.name}: after {len(self.texts[slot])} new tokens of {prompt!r}"

    def _advance(self, slot: int, token: int) -> str | None:
        """Add a token to a slot; the text if that finished it, else ``None``."""
        number, _ = self.live[slot]
        if token in self.stops:
            return self._decode(self.texts[slot])
        self.texts[slot].append(token)
        if len(self.texts[slot]) >= self.room[number]:
            return self._decode(self.texts[slot])
        is_complete = self.requests[number].is_complete
        if is_complete is None:
            return None
        if slot not in self.watched:
            if not self._may_end(token):
                return None
            self.watched.add(slot)
        text = self._decode(self.texts[slot])
        return text if is_complete(text) else None

    def _may_end(self, token: int) -> bool:
        """Whether a token holds anything that could end a sentence: no letter, digit or comma."""
        if token not in self.watchable:
            piece = self._decode([token])
            self.watchable[token] = not piece or not all(
                character.isalnum() or character in " ,'-" for character in piece
            )
        return self.watchable[token]

    def _decode(self, tokens: list[int]) -> str:
        return self.model.decode(tokens)

    def _move(self, left: int) -> None:
        """Drop columns that no row needs, or make room for more."""
        assert self.cache is not None
        used = self.cache.column - left
        self.cache.shift(left, -(-(used + 1) // COLUMN_STEP) * COLUMN_STEP)
        self.start -= left

    def _shrink(self) -> None:
        """With the queue empty, drop dead slots; in coarse steps, so that shapes repeat."""
        assert self.cache is not None
        alive = len(self.live)
        if not alive or alive > 0.8 * self.size:
            return
        kept = sorted(self.live)
        rows = torch.tensor(kept, device=self.start.device)
        self.cache.select(rows)
        for name in ("last", "start", "streams", "drawn", "seen"):
            setattr(self, name, getattr(self, name)[rows])
        self.live = {new: self.live[old] for new, old in enumerate(kept)}
        self.texts = [self.texts[old] for old in kept]
        self.watched = {new for new, old in enumerate(kept) if old in self.watched}
        self.free, self.size = [], alive
