"""The generation engine: prefill each prompt once, fan out, retire, refill.

A row is one unfinished continuation in a slot of the batch. Every step generates one token per row;
a row whose first sentence is complete leaves, and the next row in the queue takes its slot. Which
rows share a step does not affect the draws: each is a function of (seed, prompt text, generation
index, position).
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import torch
from transformers.cache_utils import DynamicCache

from exleak.errors import ModelError
from exleak.generation.draws import BROKEN, next_tokens, stream, uniforms
from exleak.generation.local.cache import COLUMN_STEP, SlotCache, moved
from exleak.generation.local.context import room
from exleak.generation.local.forward import Forward
from exleak.generation.local.model import LocalModel
from exleak.generation.local.trial import NOT_NUMBERS
from exleak.generation.requests import Continued, Counts, Request
from exleak.generation.sampling import Sampling
from exleak.sentences.segmentation import is_settled, may_end

#: Number of prompts prefilled together, by device type. On the CPU more only cost memory.
_PREFILL = {"cpu": 8}
_PREFILL_ELSEWHERE = 32
#: With an empty queue, dead slots are dropped if at most this share of slots is alive.
_SHRINK = 0.92
#: Minimum number of steps for which moving columns makes room.
_AHEAD = 4


@dataclass
class _Chunk:
    """Prompts prefilled together: their cache, last logits, lengths and tokens."""

    numbers: list[int]
    cache: DynamicCache
    logits: torch.Tensor
    lengths: list[int]
    tokens: torch.Tensor


@dataclass(slots=True)
class _Row:
    """Host-side state of the row in a slot.

    Attributes:
        request, index: Request number and generation index.
        room: Maximum number of new tokens.
        start: The first column of its context.
        watched: Whether one of its tokens may have ended its sentence.
    """

    request: int
    index: int
    room: int
    start: int
    tokens: list[int] = field(default_factory=list)
    watched: bool = False


class _Note(Enum):
    """Effect of a token on its row."""

    NOW = "it may end the sentence, or the row"
    NEXT = "it may end the sentence, and what follows tells whether it does"


class _Notes(dict[int, _Note | None]):
    """Notes by token, computed on first use; ``None`` for most tokens."""

    def __init__(self, model: LocalModel, stops: frozenset[int]) -> None:
        super().__init__(dict.fromkeys([*stops, *model.turns.ends, BROKEN], _Note.NOW))
        self.model = model

    def __missing__(self, token: int) -> _Note | None:
        # Decoded twice, because decoders drop the first space of a text, which may be the whole
        # token.
        piece = self.model.decode([token, token])
        note = (_Note.NOW if is_settled(piece) else _Note.NEXT) if may_end(piece) else None
        self[token] = note
        return note


class Engine:
    """A run over a list of requests; tensors have one entry per slot."""

    def __init__(
        self,
        model: LocalModel,
        forward: Forward,
        requests: Sequence[Request],
        sampling: Sampling,
        size: int,
        counts: Counts,
    ) -> None:
        self.model, self.forward = model, forward
        self.requests, self.sampling, self.counts = requests, sampling, counts
        wanted = [number for number, request in enumerate(requests) if request.indices]
        self.tokens = {number: array("q", model.encode(requests[number].text)) for number in wanted}
        most = sampling.max_new_tokens
        self.room = {
            number: room(model, requests[number].text, len(self.tokens[number]), most)
            for number in wanted
        }
        # Shortest first: later prompts are longer, as are the rows that have grown meanwhile, so
        # all rows need about as many columns.
        self.order = sorted(wanted, key=lambda number: len(self.tokens[number]))
        self.queue = deque(self.order)
        self.pending: deque[tuple[_Chunk, int, int]] = deque()
        self.size = min(size, sum(len(request.indices) for request in requests))
        self.stops = model.stop_tokens
        self.notes = _Notes(model, self.stops)
        self.live: dict[int, _Row] = {}
        self.free: list[int] = []
        self.stopped = False

    def run(self, rest: int = 0) -> Iterator[list[Continued]]:
        """Refill and step until nothing is left or ``stopped`` is set.

        Args:
            rest: Maximum number of last rows to leave for :meth:`join`.

        Yields:
            The continuations that each step finished.
        """
        if self.queue:
            self._start()
            yield from self.go_on(rest)

    def go_on(self, rest: int = 0) -> Iterator[list[Continued]]:
        """Like :meth:`run`, for an engine that has already started."""
        while not self.stopped:
            yield self._refill()
            if len(self.live) <= rest and not (self.queue or self.pending):
                return
            yield self._step()

    def _start(self) -> None:
        """Prefill the first prompts, and allocate the slots."""
        chunk = self._prefill()
        self._enqueue(chunk)
        device, size = self.model.device, self.size
        width = self._first_width()
        most = max(len(self.tokens[number]) + new for number, new in self.room.items())
        self.cache = SlotCache(
            chunk.cache,
            size,
            _in_steps(width),
            most=_in_steps(most),
            whole=self.forward.whole,
            device=device,
        )
        self.cache.column = width
        self.free = list(range(size - 1, -1, -1))
        self.start = torch.full((size,), width, dtype=torch.long, device=device)
        self.streams = torch.zeros(size, dtype=torch.long, device=device)
        self.drawn = torch.zeros(size, dtype=torch.long, device=device)

    def _first_width(self) -> int:
        """Length in tokens of the longest prompt among those that first fill the slots."""
        rows, width = 0, 0
        for number in self.order:
            if rows >= self.size:
                break
            rows, width = rows + len(self.requests[number].indices), len(self.tokens[number])
        return width

    @torch.inference_mode()
    def _prefill(self) -> _Chunk:
        """Run the next prompts of the queue through the model, left-padded."""
        most = _PREFILL.get(self.model.device.type, _PREFILL_ELSEWHERE)
        numbers = [self.queue.popleft() for _ in range(min(most, len(self.queue)))]
        tokens = [self.tokens[number] for number in numbers]
        lengths, device = list(map(len, tokens)), self.model.device
        width = max(lengths)
        padded = [t[:1] * (width - len(t)) + t for t in tokens]
        ids = torch.tensor([row.tolist() for row in padded], device=device)
        before = width - torch.tensor(lengths, device=device).unsqueeze(1)
        columns = torch.arange(width, device=device)
        cache = DynamicCache()
        positions = (columns - before).clamp_(min=0)
        logits = self.forward(ids, columns >= before, positions, cache)
        self.counts.prefilled += sum(lengths)
        return _Chunk(numbers, cache, logits, lengths, ids)

    def _enqueue(self, chunk: _Chunk) -> None:
        for row, number in enumerate(chunk.numbers):
            self.pending.extend((chunk, row, index) for index in self.requests[number].indices)

    @torch.inference_mode()
    def _refill(self) -> list[Continued]:
        """Give free slots to the next rows, and draw their first token from the prefill logits."""
        finished: list[Continued] = []
        while self.free:
            if not self.pending:
                if not self.queue:
                    self._shrink()
                    break
                self._enqueue(self._prefill())
            chunk = self.pending[0][0]
            if chunk.tokens.shape[1] > self.cache.column:
                self._move()
            rows: list[int] = []
            slots: list[int] = []
            while self.free and self.pending and self.pending[0][0] is chunk:
                _, row, index = self.pending.popleft()
                number = chunk.numbers[row]
                start = self.cache.column - chunk.lengths[row]
                rows.append(row)
                slots.append(self.free.pop())
                self.live[slots[-1]] = _Row(number, index, self.room[number], start)
            at = self._seat(chunk, slots, rows)
            finished += self._draw(at, slots, chunk.logits[rows])
        return finished

    def _seat(self, chunk: _Chunk, slots: list[int], rows: list[int]) -> torch.Tensor:
        """Copy prefilled rows into slots; return the slots as a tensor."""
        seated = [self.live[slot] for slot in slots]
        keys = [
            stream(self.sampling.seed, self.requests[row.request].text, row.index) for row in seated
        ]
        starts = [row.start for row in seated]
        about = torch.tensor([slots, rows, starts, keys], device=self.model.device)
        at = about[0]
        self.cache.insert(at, chunk.cache, chunk.tokens, about[1])
        self.start[at], self.streams[at], self.drawn[at] = about[2], about[3], 0
        return at

    @torch.inference_mode()
    def _step(self) -> list[Continued]:
        """Generate one token for every slot."""
        cache = self.cache
        if cache.column == cache.columns:
            self._move()
        column = cache.column
        shown = cache.columns if self.forward.whole else column + 1
        columns = torch.arange(shown, device=self.start.device)
        mask = (columns >= self.start.unsqueeze(1)) & (columns <= column)
        positions = (column - self.start).unsqueeze(1)
        logits = self.forward(cache.tokens[:, column : column + 1], mask, positions, cache)
        cache.column = column + 1
        self.counts.steps += 1
        self.counts.computed += self.size
        self.counts.useful += len(self.live)
        return self._draw(slice(None), range(self.size), logits)

    def _draw(
        self, at: torch.Tensor | slice, slots: Sequence[int], logits: torch.Tensor
    ) -> list[Continued]:
        """Draw the next token of these slots and retire finished rows."""
        cache = self.cache
        context = cache.tokens[at, : cache.column]
        uniform = uniforms(self.streams[at], self.drawn[at])
        drawn, tokens = next_tokens(logits, context, self.sampling, uniform)
        # Dead rows keep drawing tokens, which are ignored; their logits may be broken.
        cache.tokens[at, cache.column] = drawn.clamp(min=0)
        self.drawn[at] += 1
        finished, freed = [], []
        for slot, token in zip(slots, tokens, strict=True):
            row = self.live.get(slot)
            if row is None:
                continue
            if not (row.watched or self.notes[token] or len(row.tokens) + 1 >= row.room):
                row.tokens.append(token)
            elif (text := self._text_if_done(row, token)) is not None:
                finished.append(Continued(row.request, row.index, text))
                freed.append(slot)
                del self.live[slot]
        if freed:
            self.free += freed
            # A dead row attends only to the newest column.
            self.start[torch.tensor(freed, device=logits.device)] = cache.column
        return finished

    def _text_if_done(self, row: _Row, token: int) -> str | None:
        """Add a token to a row; return the text if that finished the row."""
        if token == BROKEN:
            raise ModelError(
                f"model {self.model.name}: after {len(row.tokens)} new tokens of "
                f"{self.requests[row.request].text[:80]!r}: {NOT_NUMBERS}"
            )
        stopped = token in self.stops or self.model.ends(row.tokens, token)
        if not stopped:
            row.tokens.append(token)
        if stopped or len(row.tokens) >= row.room:
            return self.model.decode(row.tokens)
        note, is_complete = self.notes[token], self.requests[row.request].is_complete
        row.watched = row.watched or note is not None
        if is_complete is None or note is _Note.NEXT:
            return None
        text = self.model.decode(row.tokens)
        return text if is_complete(text) else None

    def _move(self) -> None:
        """Drop columns that no row needs, and make room for new ones."""
        coming = self.pending[0][0].tokens.shape[1] if self.pending else 0
        self._shift(max(self._width(), coming))

    def _width(self) -> int:
        """Number of columns that the longest row takes."""
        column = self.cache.column
        return column - min((row.start for row in self.live.values()), default=column)

    def _shift(self, width: int) -> None:
        """Keep ``width`` columns before the write column."""
        left = self.cache.column - width
        self.cache.shift(left, _in_steps(width))
        self.start -= left
        for row in self.live.values():
            row.start -= left

    def _shrink(self) -> None:
        """Drop dead slots when the queue is empty, in coarse steps so that shapes repeat."""
        alive = len(self.live)
        if not alive or alive > _SHRINK * self.size:
            return
        holes = [slot for slot in range(alive) if slot not in self.live]
        movers = [slot for slot in self.live if slot >= alive]
        source, target = torch.tensor([movers, holes], dtype=torch.long, device=self.start.device)
        self.cache.compact(source, target, alive)
        for name in ("start", "streams", "drawn"):
            setattr(self, name, moved(getattr(self, name), source, target, alive))
        for old, new in zip(movers, holes, strict=True):
            self.live[new] = self.live.pop(old)
        self.free, self.size = [], alive

    @torch.inference_mode()
    def join(self, others: Sequence[Engine]) -> None:
        """Take over the unfinished rows of other engines.

        Args:
            others: Engines with unfinished rows and the same numbering of requests.
        """
        engines = (self, *others)
        width = max(engine._width() for engine in engines)
        for engine in engines:
            engine._shift(width)
        self.cache.append([other.cache for other in others])
        for name in ("start", "streams", "drawn"):
            setattr(self, name, torch.cat([getattr(engine, name) for engine in engines]))
        for other in others:
            self.live |= {self.size + slot: row for slot, row in other.live.items()}
            self.free += [self.size + slot for slot in other.free]
            self.size += other.size


def _in_steps(columns: int) -> int:
    """Number of columns to allocate when ``columns`` are taken: with room for some steps."""
    return -(-(columns + _AHEAD) // COLUMN_STEP) * COLUMN_STEP
