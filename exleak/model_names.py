"""Short model names for reports, file names and baselines, the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def short_names(paths: Sequence[str]) -> list[str]:
    """Name models so that names are the same on another machine.

    A folder's name is its last part, with as many preceding parts as distinguish it from the
    others. Links are not resolved. Hub names, reference models and paths that do not exist keep
    their names.

    >>> short_names(["reference-leaky", "org/model"])
    ['reference-leaky', 'org/model']

    Args:
        paths: Checkpoint folders, hub names or reference models' names, relative paths and
            ``~`` included.

    Returns:
        A name for each, in the same order; equal only for the same folder.
    """
    parts = [_parts(path) for path in paths]
    counts = [1] * len(parts)
    while True:
        names = [
            path if part is None else "/".join(part[-count:])
            for path, part, count in zip(paths, parts, counts, strict=True)
        ]
        longer = [
            part is not None and count < len(part) and _is_shared(index, names, parts)
            for index, (part, count) in enumerate(zip(parts, counts, strict=True))
        ]
        if not any(longer):
            return names
        counts = [count + more for count, more in zip(counts, longer, strict=True)]


def _parts(path: str) -> tuple[str, ...] | None:
    """The parts of an existing absolute path; ``None`` for other names."""
    from exleak import reference

    place = Path(path).expanduser() if path else None
    if place is None or path in reference.names() or not place.exists():
        return None
    absolute = Path(os.path.abspath(place))  # noqa: PTH100 - ``resolve`` would rename a link
    return tuple(part for part in absolute.parts if part != absolute.anchor) or (absolute.anchor,)


def _is_shared(index: int, names: list[str], parts: list[tuple[str, ...] | None]) -> bool:
    """Whether a different model currently has the same name."""
    return any(
        name == names[index] and part != parts[index]
        for name, part in zip(names, parts, strict=True)
    )
