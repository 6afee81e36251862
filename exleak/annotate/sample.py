"""Draws the items of an export, the side of each test sentence, and the order.

Every draw is seeded by the salt, the seed and its prompt, never by a condition.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from exleak.annotate.key import Item
from exleak.errors import DatasetError, SettingsError
from exleak.prompts import clean, with_parts
from exleak.records import CLASSES, LEAKING_CONDITIONS, Dataset, PromptGenerations

#: 97.5% quantile of the normal distribution, for planning.
_Z = 1.959964
#: Letters of ids. No digits: spreadsheets read 12e4567 as a number. No vowels: no words.
_LETTERS = "bcdfghjkmnpqrstvwxz"
_ID_LENGTH = 10


@dataclass(frozen=True)
class Size:
    """The number of items to draw.

    Attributes:
        items: A fixed number of items.
        precision: Half-width of a 95% interval, which sets the number: for a rate over positive
            and negative items (pairs) or over all items (labels).
    """

    items: int | None = None
    precision: float | None = None

    def __post_init__(self) -> None:
        if self.items is not None and self.precision is not None:
            raise SettingsError("give --items or --precision, not both")
        if self.items is not None and self.items < 1:
            raise SettingsError(f"items must be 1 or more, not {self.items}")
        if self.precision is not None and not 0 < self.precision < 0.5:
            raise SettingsError(f"precision must be between 0 and 0.5, not {self.precision}")

    def take(self, items: Iterator[Item], counted: Sequence[str]) -> list[Item]:
        """Take items until there are enough.

        Args:
            items: The drawn items in order.
            counted: The conditions whose items count towards the precision.

        Raises:
            SettingsError: There are fewer than requested.
        """
        wanted = self.items or (items_for(self.precision) if self.precision else None)
        taken: list[Item] = []
        count = 0
        while (wanted is None or count < wanted) and (item := next(items, None)) is not None:
            taken.append(item)
            count += self.precision is None or item.condition in counted
        if wanted is not None and count < wanted:
            raise SettingsError(self._too_few(wanted, count))
        return taken

    def _too_few(self, wanted: int, count: int) -> str:
        if self.precision is None:
            return f"{wanted} items are asked for, only {count} can be drawn; lower --items"
        best = f"{half_width(count):.3f}" if count else "none"
        return (
            f"a precision of {self.precision:g} needs {wanted} items, only {count} can be drawn; "
            f"the best precision here is {best}"
        )


def items_for(precision: float) -> int:
    """Number of items for a 95% interval of half-width h = ``precision``: ceil(z² / (4 h²)).

    This is the normal approximation for independent items and the worst-case share of one half
    (Cochran, Sampling Techniques, 1977, chapter 4).
    """
    return math.ceil(_Z**2 / (4 * precision**2))


def half_width(items: int) -> float:
    """Half-width of a 95% interval from a number of items: the inverse of :func:`items_for`."""
    return _Z / (2 * math.sqrt(items))


@dataclass(frozen=True)
class Lots:
    """The source of all randomness of an export."""

    seed: int
    salt: str

    def of(self, *purpose: str) -> random.Random:
        """A generator for one purpose; equal purposes give equal draws."""
        return random.Random("\x1f".join((self.salt, str(self.seed), *purpose)))

    def letters(self, *purpose: str) -> Iterator[str]:
        """Distinct random ids."""
        draw, seen = self.of("id", *purpose), set[str]()
        while True:
            item_id = "".join(draw.choices(_LETTERS, k=_ID_LENGTH))
            if item_id not in seen:
                seen.add(item_id)
                yield item_id


def draw_pairs(rows: Sequence[PromptGenerations], size: Size, lots: Lots) -> tuple[Item, ...]:
    """Draw pairs of a test and a control sentence.

    Each test prompt gives one pair. Controls and conditions alternate, which makes the items as
    independent as possible. No sentence is shown twice with the same beginning, because a repeated
    sentence would be recognised as the control's.

    Raises:
        DatasetError: There is no usable pair.
        SettingsError: There are fewer pairs than requested.
    """
    rows = with_parts(rows)
    usable = {row.id: sentences(row) for row in rows}
    pairs = _pairs(_turns(rows, lots), {row.id: row for row in rows}, usable, lots)
    return _finished(size.take(pairs, LEAKING_CONDITIONS), lots)


def draw_labels(dataset: Dataset, size: Size, lots: Lots) -> tuple[Item, ...]:
    """Draw injected sentences of a dataset, each once, with the dataset's label.

    Raises:
        DatasetError: One sentence has two labels.
        SettingsError: There are fewer sentences than requested.
    """
    items: dict[str, Item] = {}
    for prompt in dataset.prompts:
        text = prompt.injected
        if text is None:
            continue
        item = Item("", {"sentence": text}, prompt.condition, prompt.control, text, prompt.id)
        known = items.setdefault(text, item)
        if known.condition != item.condition:
            raise DatasetError(
                f"dataset {dataset.name}: {text!r} is {known.condition} in {known.prompt} and "
                f"{item.condition} in {item.prompt}; give it one label"
            )
    drawn = list(items.values())
    lots.of("labels").shuffle(drawn)
    return _finished(size.take(iter(drawn), CLASSES), lots)


def _finished(items: list[Item], lots: Lots) -> tuple[Item, ...]:
    """Shuffle the items into display order and give them ids."""
    if not items:
        raise DatasetError("nothing to annotate: no usable pair of a test and a control sentence")
    items.sort(key=lambda item: item.prompt)
    lots.of("order").shuffle(items)
    ids = zip(lots.letters("items"), items, strict=False)
    return tuple(replace(item, id=name) for name, item in ids)


def sentences(row: PromptGenerations) -> list[tuple[int, str]]:
    """Index and text of a row's usable sentences that do not contain the injected sentence."""
    told = (row.injected or "").casefold().strip(" .!?")
    return [
        (index, item.sentence)
        for index, item in enumerate(clean(row))
        if item.usable and not (told and told in item.sentence.casefold())
    ]


def _turns(rows: Sequence[PromptGenerations], lots: Lots) -> Iterator[PromptGenerations]:
    """Test prompts in rounds with one per control; conditions rotate."""
    groups: dict[str, list[PromptGenerations]] = {}
    for row in rows:
        if row.control is not None and row.condition in CLASSES:
            groups.setdefault(row.control, []).append(row)
    names = sorted(groups)
    lots.of("controls").shuffle(names)
    for number, name in enumerate(names):
        group = sorted(groups[name], key=lambda row: row.id)
        lots.of("turn", name).shuffle(group)
        groups[name] = sorted(
            group, key=lambda row: (CLASSES.index(row.condition) + number) % len(CLASSES)
        )
    for turn in range(max(map(len, groups.values()), default=0)):
        yield from (groups[name][turn] for name in names if turn < len(groups[name]))


def _pairs(
    turns: Iterator[PromptGenerations],
    by_id: dict[str, PromptGenerations],
    usable: dict[str, list[tuple[int, str]]],
    lots: Lots,
) -> Iterator[Item]:
    shown: dict[str, set[str]] = {}
    for row in turns:
        control = by_id[row.control or ""]
        seen = shown.setdefault(control.prompt, set())
        draw = lots.of("pair", row.id)
        picks = []
        for source in (row, control):
            fresh = [pick for pick in usable[source.id] if _fold(pick[1]) not in seen]
            picks.append(draw.choice(fresh) if fresh else None)
        test, reference = picks
        if test is None or reference is None:
            continue
        seen.update((_fold(test[1]), _fold(reference[1])))
        side, other = draw.choice((("left", "right"), ("right", "left")))
        yield Item(
            id="",
            shown={
                "context": control.control_text or control.prompt,
                side: test[1],
                other: reference[1],
            },
            condition=row.condition,
            cluster=control.prompt,
            injected=row.injected,
            prompt=row.id,
            side=side,
            draws=(test[0], reference[0]),
        )


def _fold(sentence: str) -> str:
    return " ".join(sentence.casefold().split())
