"""Which columns a table in a terminal has, and in which order its rows stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

from exleak.errors import SettingsError
from exleak.records import Measurement
from exleak.reports.columns import COLUMNS, SUMMARY, Column, lookup

__all__ = ["COMPACT", "GROUPS", "Layout", "find", "layout", "occasional"]

#: Names of the columns that fit a terminal of 80 characters.
COMPACT = ("mu_el", "95% interval", "residual", "limit")
#: Place of what rows can be grouped by.
GROUPS = {"model": "model", "dataset": "dataset", "outcome": "verdict.outcome"}


@dataclass(frozen=True)
class Layout:
    """A table's columns and the order of its rows.

    Attributes:
        columns: The columns between the dataset's name and the outcome; by default those of every
            summary, and those that only some measurements have.
        sort: The column to sort by; ``None`` keeps the order given.
        descending: Whether the highest value comes first.
        group_by: A key of :data:`GROUPS`; ``None`` does not group.
        is_cut: Whether columns were left out because the terminal is narrow.
    """

    columns: tuple[Column, ...] | None = None
    sort: Column | None = None
    descending: bool = False
    group_by: str | None = None
    is_cut: bool = False

    def columns_for(self, measurements: Sequence[Measurement]) -> tuple[Column, ...]:
        """The columns of a table of these measurements."""
        if self.columns is not None:
            return self.columns
        return (*SUMMARY, *occasional(measurements))

    def choices(self, measurements: Sequence[Measurement]) -> Iterator[Layout]:
        """This layout with its columns named; of the default ones, fewer and fewer after it."""
        yield replace(self, columns=self.columns_for(measurements))
        if self.columns is None:
            compact = tuple(map(find, COMPACT))
            yield replace(self, columns=(*compact, *occasional(measurements)), is_cut=True)
            yield replace(self, columns=compact, is_cut=True)

    def groups(self, measurements: Sequence[Measurement]) -> Iterator[list[Measurement]]:
        """The rows of each group, sorted; one group if there is nothing to group by.

        Values that are not known come last.
        """
        rows = list(measurements)
        if self.sort is not None:
            place = self.sort.place
            known = [row for row in rows if lookup(row, place) is not None]
            known.sort(key=lambda row: _sortable(lookup(row, place)), reverse=self.descending)
            rows = [*known, *(row for row in rows if lookup(row, place) is None)]
        if self.group_by is None:
            yield rows
            return
        group = GROUPS[self.group_by]
        order = list(dict.fromkeys(lookup(row, group) for row in rows))
        rows.sort(key=lambda row: order.index(lookup(row, group)))
        yield from (list(same) for _, same in groupby(rows, lambda row: lookup(row, group)))


def layout(
    columns: Sequence[str] = (), sort: str | None = None, group_by: str | None = None
) -> Layout:
    """A layout from texts, such as options.

    Args:
        columns: Names as for :func:`find`, also several in one text, with commas; none: the
            default ones.
        sort: A name; a minus before it puts the highest value first.
        group_by: A key of :data:`GROUPS`.

    Raises:
        SettingsError: There is no such column or group.
    """
    names = [name for text in columns for name in text.split(",") if name.strip()]
    if group_by is not None and group_by not in GROUPS:
        raise SettingsError(f"rows cannot be grouped by {group_by!r}: use {', '.join(GROUPS)}")
    return Layout(
        tuple(find(name) for name in names) or None,
        None if sort is None else find(sort.removeprefix("-")),
        sort is not None and sort.startswith("-"),
        group_by,
    )


def find(name: str) -> Column:
    """A column by its name in CSV or its heading, upper or lower case.

    Raises:
        SettingsError: There is none of that name.
    """
    wanted = name.strip().casefold()
    for column in COLUMNS:
        if wanted in {known.casefold() for known in (column.name, column.heading) if known}:
            return column
    known = ", ".join(column.name or column.heading or "" for column in COLUMNS)
    raise SettingsError(f"there is no column {name.strip()!r}; these are: {known}")


def occasional(measurements: Sequence[Measurement]) -> tuple[Column, ...]:
    """The columns that are shown where one of the measurements has a value, and not else."""
    return tuple(
        column
        for column in COLUMNS
        if column.only_known and any(lookup(one, column.place) is not None for one in measurements)
    )


def _sortable(value: Any) -> tuple[bool, Any]:
    """Numbers before texts."""
    return isinstance(value, str), value
