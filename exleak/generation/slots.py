"""A key-value cache of independent rows: any row may be refilled while the others go on.

All rows share one write column. A row's context lies right-aligned before that column, wherever
the row began, and is masked elsewhere; positions were applied when the keys were computed, so it
does not matter in which columns they lie.
"""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import (
    Cache,
    CacheLayerMixin,
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
)

#: Columns are added in steps of this many, so that tensor shapes repeat.
COLUMN_STEP = 32


class SlotLayer(CacheLayerMixin):
    """One layer's keys and values, preallocated: shape (rows, heads, columns, head size)."""

    is_sliding = False

    def __init__(self, like: DynamicLayer, rows: int, columns: int) -> None:
        super().__init__()
        self.keys = self._empty(like.keys, rows, columns)
        self.values = self._empty(like.values, rows, columns)
        self.column = 0
        self.is_initialized = True

    @staticmethod
    def _empty(like: torch.Tensor, rows: int, columns: int) -> torch.Tensor:
        return like.new_zeros((rows, like.shape[1], columns, like.shape[3]))

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Nothing to do: the tensors exist from the start."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write one column for every row and return all columns so far."""
        here = slice(self.column, self.column + key_states.shape[-2])
        self.keys[:, :, here] = key_states
        self.values[:, :, here] = value_states
        return self.keys[:, :, : here.stop], self.values[:, :, : here.stop]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns that attention sees, and the offset of the first one."""
        return self.column + query_length, 0

    def get_seq_length(self) -> int:
        """Columns written so far."""
        return self.column

    def get_max_length(self) -> int:
        """No maximum: columns are added when they run out."""
        return -1


class SlotCache(Cache):
    """The layers of :class:`SlotLayer` and the operations on all of them."""

    def __init__(self, like: DynamicCache, rows: int, columns: int) -> None:
        super().__init__(layers=[SlotLayer(layer, rows, columns) for layer in like.layers])

    @property
    def column(self) -> int:
        """The column that the next token is written to."""
        return int(self.layers[0].column)

    @column.setter
    def column(self, value: int) -> None:
        for layer in self.layers:
            layer.column = value

    @property
    def columns(self) -> int:
        """Columns that there is room for."""
        return int(self.layers[0].keys.shape[2])

    def insert(self, slots: torch.Tensor, source: DynamicCache, rows: torch.Tensor) -> None:
        """Copy prefilled contexts, right-aligned, to before the write column.

        Args:
            slots: Rows of this cache, int64, shape (n,).
            source: A prefilled, left-padded cache.
            rows: Rows of ``source``, int64, shape (n,).
        """
        for mine, theirs in zip(self.layers, source.layers, strict=True):
            columns = slice(mine.column - theirs.keys.shape[2], mine.column)
            mine.keys[slots, :, columns] = theirs.keys[rows]
            mine.values[slots, :, columns] = theirs.values[rows]

    def select(self, rows: torch.Tensor) -> None:
        """Keep only these rows, in this order."""
        for layer in self.layers:
            layer.keys = layer.keys[rows]
            layer.values = layer.values[rows]

    def shift(self, left: int, columns: int) -> None:
        """Drop the first ``left`` columns, or insert that many if negative.

        Moves in place while there is room for ``columns``: tensors that come and go in ever new
        sizes leave holes in the heap that are larger than the cache itself.
        """
        kept = slice(max(left, 0), self.column)
        to = slice(max(-left, 0), self.column - left)
        for layer in self.layers:
            for name in ("keys", "values"):
                old = getattr(layer, name)
                moved = old[:, :, kept]
                if columns <= old.shape[2]:
                    old[:, :, to] = moved.clone()
                    continue
                new = SlotLayer._empty(old, old.shape[0], columns)
                new[:, :, to] = moved
                setattr(layer, name, new)
        self.column -= left


def can_be_slotted(config: Any) -> bool:
    """Whether an architecture's cache is keys and values only, one column a token."""
    layers = DynamicCache(config=config.get_text_config(decoder=True)).layers
    return all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in layers)


def is_slotted(cache: DynamicCache) -> bool:
    """Whether a prefill filled every layer of a plain cache."""
    return bool(cache.layers) and all(
        type(layer) is DynamicLayer and layer.is_initialized for layer in cache.layers
    )
