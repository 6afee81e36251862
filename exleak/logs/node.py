"""Values in a file that another tool wrote, with their place, so that every error names it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from exleak.errors import DatasetError
from exleak.files import object_in


@dataclass(frozen=True)
class Node:
    """A JSON value and where it is.

    Attributes:
        value: The value.
        where: The file, and the line or member.
        name: The field within it, such as ``result.completions[0]``; empty for the whole.
    """

    value: Any
    where: str
    name: str = ""

    def __getitem__(self, key: str) -> Node:
        """A field of an object.

        Raises:
            DatasetError: It is not an object, or lacks the field.
        """
        inner = self._inner(key)
        if key not in self.value:
            raise DatasetError(f"{self.where}: field {inner!r} is missing")
        return Node(self.value[key], self.where, inner)

    def get(self, key: str) -> Node | None:
        """A field of an object, ``None`` if it is absent or null."""
        inner = self._inner(key)
        found = self.value.get(key)
        return None if found is None else Node(found, self.where, inner)

    def _inner(self, key: str) -> str:
        if not isinstance(self.value, dict):
            raise self.error("an object")
        return f"{self.name}.{key}" if self.name else key

    def items(self) -> list[Node]:
        """The items of a list."""
        if not isinstance(self.value, list):
            raise self.error("a list")
        return [Node(item, self.where, f"{self.name}[{i}]") for i, item in enumerate(self.value)]

    def text(self) -> str:
        """The value, which must be a text."""
        if not isinstance(self.value, str):
            raise self.error("a text")
        return self.value

    def number(self) -> int:
        """The value, which must be a whole number."""
        if not isinstance(self.value, int) or isinstance(self.value, bool):
            raise self.error("a whole number")
        return self.value

    def error(self, wanted: str) -> DatasetError:
        """The error that the value is something else than what is wanted."""
        what = f"field {self.name!r}" if self.name else "the value"
        return DatasetError(f"{self.where}: {what} must be {wanted}, not {self.value!r:.80}")


def whole(text: str, where: str) -> Node:
    """The JSON object that a text is.

    Raises:
        DatasetError: It is not JSON, or no object.
    """
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise DatasetError(
            f"{where}, line {error.lineno}, column {error.colno}: not JSON ({error.msg}); the file "
            "is damaged or cut short: copy or export it again"
        ) from None
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error}); copy or export it again") from None
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: a JSON object is expected, not {type(value).__name__}")
    return Node(value, where)


def lines(text: str, path: Path) -> Iterator[Node]:
    """The objects of a file of JSON lines, given its text."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            where = f"{path}, line {number}"
            yield Node(object_in(line, where), where)


def only(names: Iterable[str], what: str, path: Path) -> str:
    """The one name that all parts of a file share; empty without any.

    Raises:
        DatasetError: There are several, whose generations must not be mixed.
    """
    found = list(dict.fromkeys(names))
    if len(found) > 1:
        shown = ", ".join(repr(name) for name in found[:4])
        raise DatasetError(
            f"{path}: it holds {len(found)} {what}s ({shown}), which are not to be mixed: keep one "
            f"{what} a file"
        )
    return found[0] if found else ""
