"""How models are named: by a user, and shortly in reports, the same on every machine."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

#: The file in which a repository names its models.
TOML = "leakage.toml"


class Spelling(NamedTuple):
    """The parts of a model's name.

    Attributes:
        name: A folder, GGUF file, hub name or reference model's name.
        revision: Branch, tag or commit on the hub.
    """

    name: str
    revision: str | None = None

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


def spelled(name: str) -> tuple[Spelling, Spelling | None]:
    """The base and the adapter in ``BASE:ADAPTER``, each perhaps with ``@REVISION``.

    What exists under the whole name is that file or folder, whatever it is called.

    >>> spelled("org/base@main:runs/lora")
    (Spelling(name='org/base', revision='main'), Spelling(name='runs/lora', revision=None))
    """
    base, colon, adapter = name.rpartition(":")
    if not _is_there(name) and colon and len(base) > 1 and adapter:  # C: is a drive
        return _revised(base), _revised(adapter)
    return _revised(name), None


def _revised(name: str) -> Spelling:
    base, sign, revision = name.rpartition("@")
    return Spelling(base, revision) if sign and base and not _is_there(name) else Spelling(name)


def _is_there(name: str) -> bool:
    try:
        return Path(name).expanduser().exists()
    except (OSError, RuntimeError):  # too long for a path, or a home that nobody has
        return False


def is_path(named: Spelling, beside: Path = Path()) -> bool:
    """Whether a name of what does not exist is meant as a path, not as a name on the hub.

    >>> is_path(Spelling("./step-100")), is_path(Spelling("org/model"))
    (True, False)

    Args:
        named: The name.
        beside: The folder that a path starts from.
    """
    name = named.name.replace(os.sep, "/")
    if name.startswith(("/", ".", "~")) or name.count("/") > 1:
        return True
    folder, separator, _ = name.partition("/")
    return bool(separator) and named.revision is None and (beside / folder).is_dir()


def natural(text: str) -> list[tuple[int, str]]:
    """A sort key that puts step-9 before step-10.

    >>> sorted(["step-10", "step-9"], key=natural)
    ['step-9', 'step-10']
    """
    digits = "".join(c if c.isdecimal() else " " for c in text).split()
    letters = "".join(" " if c.isdecimal() else c for c in text).split()
    return [(0, letter) for letter in letters] + [(int(digit), "") for digit in digits]


def short_names(paths: Sequence[str]) -> list[str]:
    """Name models so that names are the same on another machine.

    A folder's name is its last part, with as many preceding parts as distinguish it from the
    others. Links are not resolved. Hub names, reference models and paths that do not exist keep
    their names. In ``BASE:ADAPTER`` both are shortened so.

    >>> short_names(["reference-leaky", "org/model"])
    ['reference-leaky', 'org/model']

    Args:
        paths: Checkpoint folders, hub names or reference models' names, relative paths and
            ``~`` included.

    Returns:
        A name for each, in the same order; equal only for the same folder.
    """
    pairs = [spelled(path) for path in paths]
    named = [str(part) for pair in pairs for part in pair if part is not None]
    short = dict(zip(named, _shortened(named), strict=True))
    return [":".join(short[str(part)] for part in pair if part is not None) for pair in pairs]


def _shortened(paths: Sequence[str]) -> list[str]:
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
