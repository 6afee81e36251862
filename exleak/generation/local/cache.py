"""A KV cache of independent rows: any row may be refilled while the others continue.

All rows share one write column. A row's context lies right-aligned before that column, and all
other columns are masked for it; positions were applied when the keys were computed, so it does not
matter in which columns they lie.

Models that support a cache of fixed size see all columns, and a mask. Short rows of keys are read
twice as fast if they are contiguous in memory, so there are few more columns than needed. Other
models see the columns up to the newest.
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

#: The number of columns is a multiple of this, so that tensor shapes repeat.
COLUMN_STEP = 8
#: Rows per block when columns are moved, which limits temporary memory.
_BLOCK = 64


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, shape (rows, heads, columns, head size).

    They lie at the start of a buffer that has room for ``most`` columns and is never freed:
    allocating tensors in ever new sizes costs more time, and leaves larger holes in the heap, than
    the cache itself. Memory that no row has used yet is not touched.
    """

    is_sliding = False

    def __init__(self, like: DynamicLayer, rows: int, columns: int, most: int, whole: bool) -> None:
        super().__init__()
        self._most = most
        self._memory = (_room(like.keys, rows, most), _room(like.values, rows, most))
        self.keys = _view(self._memory[0], like.keys, rows, columns).zero_()
        self.values = _view(self._memory[1], like.values, rows, columns).zero_()
        self.column, self.whole, self.device = 0, whole, like.keys.device
        self.is_initialized = True

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Do nothing: the tensors exist from the start."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new columns of every row, and return the columns that the model sees."""
        end = self.column + key_states.shape[-2]
        self.keys[:, :, self.column : end] = key_states
        self.values[:, :, self.column : end] = value_states
        if self.whole:
            return self.keys, self.values
        return self.keys[:, :, :end], self.values[:, :, :end]

    def get_mask_sizes(self, query_length: int | torch.Tensor) -> tuple[int, int]:
        """Number of columns that attention sees, and the offset of the first one.

        Args:
            query_length: Number of new tokens; in older transformers their positions, shape
                (new tokens,).
        """
        new = query_length if isinstance(query_length, int) else len(query_length)
        return self.keys.shape[2] if self.whole else self.column + new, 0

    def get_seq_length(self) -> int:
        """Number of columns written so far."""
        return self.column

    def get_max_length(self) -> int:
        """No maximum (-1): columns are added when they run out."""
        return -1

    def get_max_cache_shape(self) -> int:
        """Same as :meth:`get_max_length`, for transformers before 5.13."""
        return -1

    def compact(self, source: torch.Tensor, target: torch.Tensor, rows: int) -> None:
        """See :meth:`SlotCache.compact`; the places are on the layer's device."""
        self.keys = moved(self.keys, source, target, rows)
        self.values = moved(self.values, source, target, rows)

    def append(self, others: Sequence[SlotLayer]) -> None:
        """See :meth:`SlotCache.append`."""
        most = max(layer._most for layer in (self, *others))
        self._extend(most, [o.keys for o in others], [o.values for o in others])

    def _extend(
        self, most: int, keys: Sequence[torch.Tensor] = (), values: Sequence[torch.Tensor] = ()
    ) -> None:
        """Ensure memory for ``most`` columns, and append rows."""
        self._most = most
        parts = ([self.keys, *keys], [self.values, *values])
        mine, theirs = map(_extended, self._memory, parts, (most, most))
        self._memory = (mine, theirs)
        rows, columns = sum(map(len, parts[0])), self.keys.shape[2]
        self.keys = _view(mine, self.keys, rows, columns)
        self.values = _view(theirs, self.values, rows, columns)

    def resize(self, rows: int, columns: int) -> None:
        """See :meth:`SlotCache.resize`."""
        self.keys = _view(self._memory[0], self.keys, rows, columns)
        self.values = _view(self._memory[1], self.values, rows, columns)
        self.column = columns - 1

    def shift(self, left: int, columns: int) -> None:
        """See :meth:`SlotCache.shift`."""
        if columns > self._most:
            self._extend(columns)
        kept = slice(max(left, 0), self.column)
        to = slice(max(-left, 0), self.column - left)
        self.keys = _laid_out(self.keys, self._memory[0], columns, kept, to)
        self.values = _laid_out(self.values, self._memory[1], columns, kept, to)
        self.column -= left


class SlotCache(Cache):
    """A cache of :class:`SlotLayer` layers, with the token ids of its columns.

    Attributes:
        tokens: Ids, int64, shape (rows, columns + 1). The last token drawn is at the write column
            before its keys and values are written there. Columns before a row's context repeat
            its first token.

    Each layer's keys and values are on the layer's own device.

    Args:
        like: A prefilled cache.
        rows, columns: Their number.
        most: Number of columns to have memory for.
        whole: Whether the model sees all columns.
        device: The device of the token ids, and of what the methods are given.
    """

    def __init__(
        self,
        like: DynamicCache,
        rows: int,
        columns: int,
        *,
        most: int,
        whole: bool,
        device: torch.device,
    ) -> None:
        layers = [SlotLayer(layer, rows, columns, most, whole) for layer in like.layers]
        super().__init__(layers=layers)
        self.whole = whole
        self.tokens = torch.zeros((rows, columns + 1), dtype=torch.long, device=device)

    @property
    def column(self) -> int:
        """The write column: where the next keys and values go."""
        return int(self.layers[0].column)

    @column.setter
    def column(self, value: int) -> None:
        for layer in self.layers:
            layer.column = value

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.tokens)

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.layers[0].keys.shape[2])

    def insert(
        self, slots: torch.Tensor, source: DynamicCache, tokens: torch.Tensor, rows: torch.Tensor
    ) -> None:
        """Copy prefilled contexts into rows, right-aligned before the write column.

        Args:
            slots: Rows of this cache, int64, shape (n,).
            source: A prefilled, left-padded cache.
            tokens: The prefilled token ids, padded with each row's first token.
            rows: Rows of ``source`` and ``tokens``, int64, shape (n,).
        """
        columns = slice(self.column - tokens.shape[1], self.column)
        places = self._on_each_device(slots, rows)
        for mine, theirs in zip(self.layers, source.layers, strict=True):
            to, of = places[mine.device]
            mine.keys[to, :, columns] = theirs.keys[of]
            mine.values[to, :, columns] = theirs.values[of]
        context = tokens[rows]
        self.tokens[slots] = context[:, :1]
        self.tokens[slots, columns] = context

    def compact(self, source: torch.Tensor, target: torch.Tensor, rows: int) -> None:
        """Move some rows to other places, then keep only the first ``rows`` rows.

        In place: copying all kept rows would cost more than the dropped rows save.

        Args:
            source: Rows to move, int64, shape (n,).
            target: Their new places, int64, shape (n,).
            rows: Number of rows to keep.
        """
        places = self._on_each_device(source, target)
        for layer in self.layers:
            layer.compact(*places[layer.device], rows)
        self.tokens = moved(self.tokens, source, target, rows)

    def _on_each_device(
        self, first: torch.Tensor, second: torch.Tensor
    ) -> dict[torch.device, tuple[torch.Tensor, torch.Tensor]]:
        """Two tensors of places, on each device of the layers."""
        devices = {layer.device for layer in self.layers}
        return {device: (first.to(device), second.to(device)) for device in devices}

    def append(self, others: Sequence[SlotCache]) -> None:
        """Append the rows of other caches with the same write column and number of columns."""
        for layer, *theirs in zip(self.layers, *(other.layers for other in others), strict=True):
            layer.append(theirs)
        self.tokens = torch.cat([self.tokens, *(other.tokens for other in others)])

    def resize(self, rows: int, columns: int) -> None:
        """Set the number of rows and columns without defined content; the last column is free."""
        for layer in self.layers:
            layer.resize(rows, columns)

    def shift(self, left: int, columns: int) -> None:
        """Drop the first ``left`` columns, or insert that many if negative.

        Args:
            left: Number of columns to drop.
            columns: New number of columns.
        """
        end = self.column + 1
        tokens = self.tokens[:, :1].repeat(1, columns + 1)
        tokens[:, max(-left, 0) : end - left] = self.tokens[:, max(left, 0) : end]
        self.tokens = tokens
        for layer in self.layers:
            layer.shift(left, columns)


def _room(like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """An uninitialised buffer for keys or values of the given number of rows and columns."""
    return like.new_empty(rows * like.shape[1] * columns * like.shape[3])


def _view(memory: torch.Tensor, like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
    """View the start of a buffer as contiguous keys or values with these rows and columns."""
    shape = (rows, like.shape[1], columns, like.shape[3])
    return memory[: math.prod(shape)].view(shape)


def _extended(memory: torch.Tensor, parts: Sequence[torch.Tensor], most: int) -> torch.Tensor:
    """A buffer with the rows of several tensors at its start, where the first already lies."""
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
    """The same rows with another number of columns, in the same buffer.

    Args:
        old: The current tensor.
        memory: The buffer at whose start both the old and the new tensor lie.
        columns: Number of columns of the new tensor.
        kept: Columns of the old tensor to keep.
        to: Their place in the new tensor; all other columns are zero.
    """
    new = _view(memory, old, len(old), columns)
    blocks = range(0, len(old), _BLOCK)
    # Longer rows overwrite the old rows after them, so the last rows are moved first.
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
    """Move some rows of a tensor to other places, then keep only the first ``rows`` rows."""
    tensor[target] = tensor[source]
    return tensor[:rows]
