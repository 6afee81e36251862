"""Finds the checkpoints in a repository: folders of transformers or PEFT, and GGUF files.

Imports nothing heavy.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from exleak.checkpoints import checkpoints_in, incomplete, no_checkpoint, series_pattern
from exleak.errors import ModelError, SettingsError
from exleak.generation.local.folder import is_adapter, read_object
from exleak.model_names import natural, short_names

#: How many folders deep the search goes by default.
DEPTH = 4
_SKIPPED = ("node_modules", "__pycache__", "site-packages")
#: Files that mark the folder of a Python environment.
_ENVIRONMENTS = ("pyvenv.cfg", "conda-meta")
#: Architectures that do not write text, such as BertForSequenceClassification.
_NOT_WRITING = re.compile(r"For(?!CausalLM|ConditionalGeneration)\w+$")


@dataclass(frozen=True)
class Found:
    """A checkpoint, or the last one of a series.

    Attributes:
        name: A short name, which no other one has.
        path: Its path from the searched folder, with forward slashes; ``.`` is that folder.
        series: The glob pattern of its series, if it is one of several.
        count: Number of checkpoints of the series.
    """

    name: str
    path: str
    series: str | None = None
    count: int = 1


@dataclass
class Search:
    """What was found in a folder.

    Attributes:
        models: Checkpoints, in the order of their paths.
        left_out: Why something that looks like a checkpoint is none, by path.
    """

    models: tuple[Found, ...] = ()
    left_out: dict[str, str] = field(default_factory=dict)


def search(folder: Path, depth: int = DEPTH) -> Search:
    """Find the checkpoints in a folder.

    Hidden folders, Python environments and node_modules are skipped; links are followed, and what
    several of them lead to is found once. Of a series (``step-9``, ``step-10``), the last complete
    checkpoint stands for all.

    Args:
        folder: The folder to search.
        depth: How many folders deep to search; 0 searches the folder itself.

    Raises:
        SettingsError: There is no such folder, or the depth is negative.
    """
    if not folder.is_dir():
        raise SettingsError(f"{folder}: there is no such folder; name your training repository")
    if depth < 0:
        raise SettingsError(f"--depth {depth}: a number of folders is expected, 0 or more")
    found = Search()
    candidates: dict[Path, str] = {}
    # What is no link goes first: a link to a checkpoint is the same one under another name.
    for path in sorted(_candidates(folder, depth, found.left_out), key=Path.is_symlink):
        candidates.setdefault(path.resolve(), path.relative_to(folder).as_posix())
    whole = []
    for name in sorted(candidates.values(), key=natural):
        if (reason := _unfit(folder / name, name)) is None:
            whole.append(name)
        else:
            found.left_out[name] = reason
    for name in [name for name in found.left_out if _has_one_below(name, whole)]:
        del found.left_out[name]
    found.models = _models(folder, whole)
    return found


def _candidates(folder: Path, depth: int, left_out: dict[str, str]) -> Iterator[Path]:
    """What is, or seems to become, a checkpoint; the folder itself included."""
    if no_checkpoint(folder) is None:
        yield folder
    level, seen = [folder], set()
    for left in range(depth, -1, -1):
        below: list[Path] = []
        for place in level:
            if (real := place.resolve()) in seen:
                continue
            seen.add(real)
            try:
                yield from [*checkpoints_in(place), *place.glob("*.gguf")]
                below += _folders(place) if left else []
            except OSError as error:
                left_out[place.relative_to(folder).as_posix()] = f"cannot be read: {error.strerror}"
        level = below


def _folders(place: Path) -> list[Path]:
    return [
        path
        for path in sorted(place.iterdir(), key=lambda path: (path.is_symlink(), path.name))
        if path.is_dir()
        and not path.name.startswith(".")
        and path.name not in _SKIPPED
        and not any((path / mark).exists() for mark in _ENVIRONMENTS)
    ]


def _unfit(path: Path, name: str) -> str | None:
    """Why a candidate cannot be measured; ``None`` if it seems that it can."""
    if not _is_text(name):
        return "its name is not UTF-8, which leakage.toml needs; rename it"
    if path.suffix == ".gguf" and path.is_file():
        return None
    try:
        if (reason := incomplete(path)) or is_adapter(path):
            return reason
        config = read_object(path / "config.json", name)
    except (ModelError, OSError) as error:
        return str(error)
    architectures = config.get("architectures") or []
    if not (architectures or "model_type" in config):
        return "its config.json names no architecture: no checkpoint of transformers"
    if architectures and all(_NOT_WRITING.search(str(each)) for each in architectures):
        return f"{architectures[0]} does not write text"
    return None


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _has_one_below(name: str, whole: Sequence[str]) -> bool:
    return any(other.startswith(f"{name}/") for other in whole)


def _models(folder: Path, paths: Sequence[str]) -> tuple[Found, ...]:
    """Single checkpoints, and the last of each series, with their names."""
    series: dict[str, list[str]] = {}
    for path in paths:
        series.setdefault(series_pattern(path), []).append(path)
    last = [group[-1] for group in series.values()]
    names = _names(folder, last)
    return tuple(
        Found(name, group[-1], pattern if len(group) > 1 else None, len(group))
        for name, (pattern, group) in zip(names, series.items(), strict=True)
    )


def _names(folder: Path, paths: Sequence[str]) -> list[str]:
    """Short names; ``checkpoint-500`` says too little, and has its folder's name before it."""
    home = folder.resolve()
    short = short_names([str(home / path) for path in paths])
    return [
        "/".join(Path(path).parts[-2:])
        if "/" not in name and series_pattern(name) != glob.escape(name)
        else name
        for name, path in zip(short, paths, strict=True)
    ]
