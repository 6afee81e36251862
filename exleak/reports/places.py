"""Where in a repository a remark on a model is shown: at its entry in leakage.toml."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import NamedTuple


class Place(NamedTuple):
    """A line of a file.

    Attributes:
        path: The file, from the repository's top folder, with slashes.
        line: The line, from 1 on.
    """

    path: str
    line: int


def place_of(model: str, toml: Path, top: Path) -> Place | None:
    """The place of a model's entry.

    Args:
        model: The name of the entry.
        toml: The file.
        top: The top folder of the repository.

    Returns:
        The place; ``None`` if the model has no entry, or the file cannot be read or lies elsewhere.
    """
    try:
        line = entry_line(toml.read_text(encoding="utf-8-sig"), model)
        path = Path(os.path.relpath(toml.resolve(), top.resolve())).as_posix()
    except (OSError, ValueError):  # not UTF-8, or on another drive
        return None
    return None if line is None or path.startswith("../") else Place(path, line)


def entry_line(text: str, model: str) -> int | None:
    r"""The line in which the entry of a model begins; ``None`` if none is found.

    It is the first line that names the model, and up to which the file has an entry for it.

    >>> entry_line('[models.a]\npath = "b"\n\n[models."b"]\n', "b")
    4
    """
    lines = text.split("\n")
    for number, line in enumerate(lines, start=1):
        is_table = line.lstrip().startswith("[")
        if model in (line if is_table else line.partition("=")[0]):
            try:
                models = tomllib.loads("\n".join(lines[:number])).get("models", {})
            except tomllib.TOMLDecodeError:
                continue  # within a text or a list of several lines
            if isinstance(models, dict) and model in models:
                return number
    return None
