"""A key-value cache of independent rows: any row may be refilled while the others go on.

All rows share one write column. A row's context lies right-aligned before that column, wherever
the row began, and is masked elsewhere; positions were applied when the keys were computed, so it
does not matter in which columns they lie.

Models that can do with a cache of fixed size are shown all columns, and a mask. Short rows of keys
are read twice as fast when they follow each other in memory without gaps, so there are few more
columns than are needed. Other models are shown the columns up to the newest.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DynamicCache,
    DynamicLayer,
)

#: Columns come in steps of this many, so that tensor shapes repeat.
COLUMN_STEP = 8
#: Rows that are moved together, so that little memory is needed besides.
_BLOCK = 64


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, shape (rows, heads, columns, head size).

    They lie at the start of memory that has room for ``most`` columns and is never given back:
    tensors that come and go in ever new sizes cost more time, and leave larger holes in the heap,
    than the cache itself. What no row has used yet is not touched.
    """

    is_sliding = False

    def __init__(self, like: DynamicLayer, rows: int, columns: int, most: int, whole: bool) -> None:
        super().__init__()
        self._most = most
        self._memory = (_room(like.keys, rows, most), _room(like.values, rows, most))
        self.keys = _view(self._memory[0], like.keys, rows, columns).zero_()
        self.values = _view(self._memory[1], like.values, rows, columns).zero_()
        self.column, self.whole = 0, whole
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: the tensors exist from the start."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one column for every row and return all columns."""
        end = self.column + key_states.shape[-2]
        self.keys[:, :, self.column : end] = key_states
        self.values[:, :, self.column : end] = value_states
        if self.whole:
            return self.keys, self.values
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_mask_sizes(self, query_length: int | torch.Tensor) -> tuple[int, int]:
        """Columns that attention sees, and the offset of the first one.

        Args:
            query_length: New tokens; their positions, shape (new tokens,), in older transformers.
        """
        new = query_length if isinstance(query_length, int) else len(query_length)
        return self.keys.shape[2] if self.whole else self.column + new, 0

    def get_seq_length(self) -> int:
        """Columns written so far."""
        return self.column

    def get_max_length(self) -> int:
        """No maximum: columns are added when they run out."""
        return -1

    def get_max_cache_shape(self) -> int:
        """The same, as transformers before 5.13 asks for it."""
        return -1

    def compact(self, source: torch.Tensor, target: torch.Tensor, rows: int) -> None:
        """As :meth:`SlotCache.compact`."""
        self.keys = moved(self.keys, source, target, rows)
        self.values = moved(self.values, source, target, rows)

    def append(self, others: Sequence[SlotLayer]) -> None:
        """As :meth:`SlotCache.append`."""
        most = max(layer._most for layer in (self, *others))
        self._extend(most, [o.keys for o in others], [o.values for o in others])

    def _extend(
        self, most: int, keys: Sequence[torch.Tensor] = (), values: Sequence[torch.Tensor] = ()
    ) -> None:
        """Make sure of memory for ``most`` columns, and add rows."""
        self._most = most
        parts = ([self.keys, *keys], [self.values, *values])
        mine, theirs = map(_extended, self._memory, parts, (most, most))
        self._memory = (mine, theirs)
        rows, columns = sum(map(len, parts[0])), self.keys.shape[2]
        self.keys = _view(mine, self.keys, rows, columns)
        self.values = _view(theirs, self.values, rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """As :meth:`SlotCache.resize`."""
        self.keys = _view(self._memory[0], self.keys, rows, columns)
        self.values = _view(self._memory[1], self.values, rows, columns)
        self.column = columns - 1

    def shift(self, left: int, columns: int) -> None:
        """As :meth:`SlotCache.shift`."""
        if columns > self._most:
            self._extend(columns)
        kept = slice(max(left, 0), self.column)
        to = slice(max(-left, 0), self.column - left)
        self.keys = _laid_out(self.keys, self._memory[0], columns, kept, to)
        self.values = _laid_out(self.values, self._memory[1], columns, kept, to)
        self.column -= left


class SlotCache(Cache):
    """The layers of :class:`SlotLayer`, the tokens behind their columns, and operations on all.

    Attributes:
        tokens: Ids, int64, shape (rows, columns + 1). The last token drawn stands at the write
            column, before its keys and values do. Columns before a row's context repeat its
            first token.
    """

    def __init__(
        self, like: DynamicCache, rows: int, columns: int, *, most: int, whole: bool
    ) -> None:
        layers = [SlotLayer(layer, rows, columns, most, whole) for layer in like.layers]
        super().__init__(layers=layers)
        self.whole = whole
        device = like.layers[0].keys.device
        self.tokens = torch.zeros((rows, columns + 1), dtype=torch.long, device=device)

    @property
    def column(self) -> int:
        """The column that the next keys and values are written to."""
        return int(self.layers[0].column)

    @column.setter
    def column(self, value: int) -> None:
        for layer in self.layers:
            layer.column = value

    @property
    def rows(self) -> int:
        """Rows that there is room for."""
        return len(self.tokens)

    @property
    def columns(self) -> int:
        """Columns that there is room for."""
        return int(self.layers[0].keys.shape[2])

    def insert(
        self, slots: torch.Tensor, source: DynamicCache, tokens: torch.Tensor, rows: torch.Tensor
    ) -> None:
        """Copy prefilled contexts, right-aligned, to before the write column.

        Args:
            slots: Rows of this cache, int64, shape (n,).
            source: A prefilled, left-padded cache.
            tokens: What was prefilled, padded with each row's first token.
            rows: Rows of ``source`` and ``tokens``, int64, shape (n,).
        """
        columns = slice(self.column - tokens.shape[1], self.column)
        for mine, theirs in zip(self.layers, source.layers, strict=True):
            mine.keys[slots, :, columns] = theirs.keys[rows]
            mine.values[slots, :, columns] = theirs.values[rows]
        context = tokens[rows]
        self.tokens[slots] = context[:, :1]
        self.tokens[slots, columns] = context

    def compact(self, source: torch.Tensor, target: torch.Tensor, rows: int) -> None:
        """Keep the first rows only, after moving others in among them.

        In place: a copy of all that is kept would cost more than the rows it saves.

        Args:
            source: Rows to move, int64, shape (n,).
            target: Where to, int64, shape (n,).
            rows: How many to keep.
        """
        for layer in self.layers:
            layer.compact(source, target, rows)
        self.tokens = moved(self.tokens, source, target, rows)

    def append(self, others: Sequence[SlotCache]) -> None:
        """Add the rows of other caches of the same write column and number of columns."""
        for layer, *theirs in zip(self.layers, *(other.layers for other in others), strict=True):
            layer.append(theirs)
        self.tokens = torch.cat([self.tokens, *(other.tokens for other in others)])

    def resize(self, rows: int, columns: int) -> None:
        """Take the shape of so many rows and columns, whatever is in them; the last is free."""
        for layer in self.layers:
            layer.resize(rows, columns)

    def shift(self, left: int, columns: int) -> None:
        """Drop the first ``left`` columns, or insert that many if negative.

        Args:
            left: Columns to drop.
            columns: How many there shall be.
        """
        end = self.column + 1
        tokens = self.tokens[:, :1].repeat(1, columns + 1)
        tokens[:, max(-left, 0) : end - left] = self.tokens[:, max(left, 0) : end]
        self.tokens = tokens
        for layer in self.layers:
            layer.shift(left, columns)


def _room(like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """Memory for keys or values of so many rows and columns."""
    return like.new_empty(rows * like.shape[1] * columns * like.shape[3])


def _view(memory: torch.Tensor, like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """The start of some memory as keys or values of so many rows and columns, without gaps."""
    shape = (rows, like.shape[1], columns, like.shape[3])
    return memory[: math.prod(shape)].view(shape)


def _extended(memory: torch.Tensor, parts: Sequence[torch.Tensor], most: int) -> torch.Tensor:
    """Memory with the rows of several tensors at its start, where the first one lies already."""
    first, *others = parts
    end, rows = first.numel(), sum(map(len, parts))
    if rows * first.shape[1] * most * first.shape[3] > memory.numel():
        room = _room(first, rows, most)
        room[:end] = memory[:end]
        memory = room
    for other in others:
        memory[end : end + other.numel()] = other.flatten()
        end += other.numel()
    return memory


def _laid_out(
    old: torch.Tensor, memory: torch.Tensor, columns: int, kept: slice, to: slice
) -> torch.Tensor:
    """The same rows with another number of columns, in the same memory.

    Args:
        old: What lies there now.
        memory: Where the old and the new tensor start.
        columns: How many the new tensor has.
        kept: Columns of the old one to keep.
        to: Where they go; all others are zero.
    """
    new = _view(memory, old, len(old), columns)
    blocks = range(0, len(old), _BLOCK)
    # A longer row is written over old rows behind it, so the last ones are moved first.
    for first in reversed(blocks) if columns > old.shape[2] else blocks:
        rows = slice(first, first + _BLOCK)
        block = old[rows, :, kept].clone()
        new[rows, :, : to.start] = 0
        new[rows, :, to] = block
        new[rows, :, to.stop :] = 0
    return new


def moved(
    tensor: torch.Tensor, source: torch.Tensor, target: torch.Tensor, rows: int
) -> torch.Tensor:
    """The first rows of a tensor, after moving others in among them."""
    tensor[target] = tensor[source]
    return tensor[:rows]
