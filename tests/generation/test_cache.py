"""The cache of independent rows, held against rows that are kept one by one."""

from __future__ import annotations

import random

import pytest
import torch
from transformers.cache_utils import DynamicCache

from exleak.generation.local import cache as slots
from exleak.generation.local.cache import SlotCache

HEADS, SIZE, MOST = 2, 3, 40


class Rows:
    """A cache and, for each of its rows, the tokens of its context, which tell its keys."""

    def __init__(self, count: int, whole: bool, chance: random.Random) -> None:
        self.chance, self.next = chance, 1
        like = self.prefilled([3])[0]
        self.cache = SlotCache(like, count, 8, most=MOST, whole=whole, device=torch.device("cpu"))
        self.cache.column = 4
        self.tokens: list[list[int]] = []
        self.insert(list(range(count)))

    def prefilled(self, lengths: list[int]) -> tuple[DynamicCache, torch.Tensor]:
        """A left-padded cache of two layers and its tokens; values are the keys' negatives."""
        width = max(lengths)
        tokens = torch.zeros(len(lengths), width, dtype=torch.long)
        for row, length in enumerate(lengths):
            tokens[row] = torch.arange(self.next, self.next + width) - (width - length)
            tokens[row, : width - length] = self.next
            self.next += width
        keys = tokens[:, None, :, None].float().expand(-1, HEADS, -1, SIZE)
        cache = DynamicCache()
        for layer in range(2):
            cache.update(keys + layer, -keys - layer, layer)
        return cache, tokens

    def insert(self, at: list[int]) -> None:
        """Fill slots with new contexts."""
        lengths = [self.chance.randint(1, min(4, self.cache.column)) for _ in at]
        source, tokens = self.prefilled(lengths)
        rows = torch.arange(len(at))
        self.cache.insert(torch.tensor(at), source, tokens, rows)
        for slot, row, length in zip(at, tokens.tolist(), lengths, strict=True):
            if slot == len(self.tokens):
                self.tokens.append([])
            self.tokens[slot] = row[-length:]

    def write(self) -> None:
        """One more token and column for every row."""
        if self.cache.column == self.cache.columns:
            return
        drawn = torch.arange(self.next, self.next + self.cache.rows)
        self.next += len(drawn)
        self.cache.tokens[:, self.cache.column] = drawn
        for number, layer in enumerate(self.cache.layers):
            keys = drawn[:, None, None, None].float().expand(-1, HEADS, 1, SIZE) + number
            layer.update(keys, -keys)
        self.cache.column += 1
        for row, token in zip(self.tokens, drawn.tolist(), strict=True):
            row.append(token)

    def shift(self) -> None:
        """Drop or insert columns on the left, and change their number."""
        longest, column = max(map(len, self.tokens)), self.cache.column
        left = self.chance.randint(max(column - MOST, -3), column - longest)
        fewest = max(column - left, 1)
        if fewest < MOST:
            self.cache.shift(left, self.chance.randint(fewest, MOST))

    def compact(self) -> None:
        """Keep some rows only."""
        alive = sorted(self.chance.sample(range(self.cache.rows), max(1, self.cache.rows - 2)))
        holes = [slot for slot in range(len(alive)) if slot not in alive]
        movers = [slot for slot in alive if slot >= len(alive)]
        source, target = torch.tensor([movers, holes], dtype=torch.long)
        self.cache.compact(source, target, len(alive))
        for old, new in zip(movers, holes, strict=True):
            self.tokens[new] = self.tokens[old]
        del self.tokens[len(alive) :]

    def append(self) -> None:
        """Take over the rows of another cache."""
        column = self.cache.column
        other = Rows(self.chance.randint(1, 3), self.cache.whole, self.chance)
        if column >= other.cache.column:
            other.cache.shift(other.cache.column - column, self.cache.columns)
            self.cache.append([other.cache])
            self.tokens += other.tokens

    def check(self) -> None:
        """Every context lies right-aligned before the write column, in all layers."""
        column = self.cache.column
        for slot, row in enumerate(self.tokens):
            start = column - len(row)
            assert self.cache.tokens[slot, start:column].tolist() == row
            assert set(self.cache.tokens[slot, :start].tolist()) <= {row[0]}
            expected = torch.tensor(row).float()[None, :, None].expand(HEADS, -1, SIZE)
            for number, layer in enumerate(self.cache.layers):
                assert torch.equal(layer.keys[slot, :, start:column], expected + number)
                assert torch.equal(layer.values[slot, :, start:column], -expected - number)
        for layer in self.cache.layers:
            assert layer.keys.is_contiguous()
            assert bool(layer.keys.isfinite().all())
            assert bool(layer.values.isfinite().all())


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("seed", range(30))
def test_rows_stay_what_they_are(seed: int, whole: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is written, moved, refilled or dropped, each row keeps its own context."""
    monkeypatch.setattr(slots, "_BLOCK", 2)
    chance = random.Random(seed)
    rows = Rows(7, whole, chance)
    for _ in range(40):
        step = chance.choice(["write", "write", "shift", "insert", "compact", "append"])
        if step == "insert":
            rows.insert([chance.randrange(rows.cache.rows)])
        elif step != "compact" or rows.cache.rows > 2:
            getattr(rows, step)()
        rows.check()


def test_memory_that_nothing_was_written_to_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    """New memory may hold anything; a NaN behind a mask would still be one after attention."""
    empty = torch.Tensor.new_empty

    def dirty(self: torch.Tensor, *size: int) -> torch.Tensor:
        return empty(self, *size).fill_(float("nan"))

    monkeypatch.setattr(torch.Tensor, "new_empty", dirty)
    rows = Rows(3, True, random.Random(0))
    rows.check()
    for columns in (20, 9, MOST):
        rows.cache.shift(0, columns)
        rows.check()


@pytest.mark.parametrize(("whole", "expected"), [(True, MOST), (False, 9)])
def test_every_transformers_is_told_the_columns_as_numbers(whole: bool, expected: int) -> None:
    """Older ones hand over the positions of the new tokens, newer ones their number."""
    rows = Rows(3, whole, random.Random(0))
    rows.cache.shift(0, MOST)
    rows.cache.column = 8
    (layer, *_) = rows.cache.layers
    assert layer.get_mask_sizes(1) == (expected, 0)
    assert layer.get_mask_sizes(torch.arange(8, 9)) == (expected, 0)
    assert isinstance(layer.get_mask_sizes(torch.arange(8, 9))[0], int)
    assert layer.get_max_cache_shape() == layer.get_max_length() == -1
