"""A line of a JSONL file as an object, with one error for whatever else it is."""

from __future__ import annotations

import json
from typing import Any

from exleak.errors import DatasetError


def object_in(line: str, where: str) -> dict[str, Any]:
    """The JSON object of a line.

    Args:
        line: The line.
        where: File and line, for errors.

    Raises:
        DatasetError: It is none, or names a field twice, of which JSON readers keep the last.
    """
    try:
        value = json.loads(line, object_pairs_hook=_with_each_name_once)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f"{where}: not JSON ({error}); one JSON object a line") from None
    if not isinstance(value, dict):
        raise DatasetError(f"{where}: a JSON object is expected, not {type(value).__name__}")
    return value


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"field {twice!r} is there twice")
    return found
