"""Checkpoint folders of a training: their order, and which of them are written to the end."""

from __future__ import annotations

import glob
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from exleak.errors import ModelError
from exleak.generation.local.folder import ADAPTER, weight_sets
from exleak.model_names import natural
from exleak.store.identity import is_whole

#: The trainer of transformers writes this last into a checkpoint.
TRAINER_STATE = "trainer_state.json"
_NAMED = re.compile(r"(checkpoint|step|epoch|iter)[-_]?\d+", re.IGNORECASE)
#: Folders that a trainer renames when they are complete.
_TEMPORARY = ("tmp", ".")
#: Size of a safetensors file's first field, the length of its header.
_LENGTH = 8


def no_checkpoint(path: Path) -> str | None:
    """Why a path holds no model; ``None`` if it seems to hold one."""
    if not path.is_dir():
        return None if path.suffix == ".gguf" else "a file"
    if not ((path / "config.json").is_file() or (path / ADAPTER).is_file()):
        return "no config.json"
    if not any(True for kind in ("*.safetensors", "*.bin") for _ in path.glob(kind)):
        return "no weights yet"
    return None


def checkpoints_in(folder: Path) -> list[Path]:
    """The folders in a training's output folder that are checkpoints or will be, in order.

    Those are named so (``checkpoint-500``, ``step-500``), or have a configuration.

    Args:
        folder: The output folder; it need not be there yet.
    """
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if _may_be_checkpoint(path)]
    return sorted(found, key=lambda path: natural(path.name))


def series_pattern(path: str) -> str:
    """The glob pattern of the checkpoints that a path is one of; the escaped path if of none.

    >>> series_pattern("runs/llama-7b/checkpoint-500")
    'runs/llama-7b/checkpoint-*'

    Args:
        path: A path with forward slashes.
    """
    parts = (
        re.sub(r"\d+$", "*", part) if _NAMED.fullmatch(part) else glob.escape(part)
        for part in path.split("/")
    )
    return "/".join(parts)


def _may_be_checkpoint(path: Path) -> bool:
    if path.name.startswith(_TEMPORARY) or not path.is_dir():
        return False
    is_named = _NAMED.fullmatch(path.name) is not None
    return is_named or (path / "config.json").is_file() or (path / ADAPTER).is_file()


@dataclass(frozen=True)
class TrainerState:
    """How far a training had come when it wrote a checkpoint.

    Attributes:
        step: Number of optimizer steps done.
        last: Number of steps of the whole training; ``None`` if unknown.
    """

    step: int
    last: int | None = None

    @property
    def is_over(self) -> bool:
        """Whether this is the end of the training."""
        return self.last is not None and 0 < self.last <= self.step


def trainer_state(folder: Path) -> TrainerState | None:
    """What trainer_state.json says; ``None`` if it is missing, half-written, or another's."""
    try:
        found = json.loads((folder / TRAINER_STATE).read_text(encoding="utf-8"))
        step, last = found["global_step"], found.get("max_steps")
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None
    if type(step) is not int:
        return None
    return TrainerState(step, last if type(last) is int and last > 0 else None)


def step_of(folder: Path) -> int | None:
    """The training step of a checkpoint: trainer_state.json's, or the last number of its name."""
    if (state := trainer_state(folder)) is not None:
        return state.step
    numbers = re.findall(r"\d+", folder.name)
    return int(numbers[-1]) if numbers else None


def incomplete(folder: Path) -> str | None:
    """Which part of a checkpoint is visibly missing; ``None`` if none is."""
    if reason := no_checkpoint(folder):
        return reason
    if not is_whole(folder):
        return "some of its weights are not there yet"
    try:
        files = [path for _, paths in weight_sets(folder, folder.name) for path in paths]
        cut = [path.name for path in {*files, *folder.glob("adapter_model.safetensors")}
               if _is_cut(path)]  # fmt: skip
    except (ModelError, OSError) as error:
        return str(error)
    return f"{min(cut)} is not written to the end" if cut else None


def _is_cut(path: Path) -> bool:
    """Whether a safetensors file is shorter than its header says."""
    if path.suffix != ".safetensors":
        return False
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(_LENGTH), "little")
        if size < _LENGTH + length:
            return True
        try:
            entries = json.loads(file.read(length))
            ends = [e["data_offsets"][1] for name, e in entries.items() if name != "__metadata__"]
        except (ValueError, LookupError, TypeError, AttributeError):
            return False  # no safetensors file at all: loading says so
    return size < _LENGTH + length + max(ends, default=0)


class Completion:
    """Tells complete checkpoints from those that are still being written.

    A checkpoint is complete when nothing is visibly missing and trainer_state.json is there, which
    transformers writes last. Without it, or with something missing, a checkpoint counts as complete
    once none of its files has changed for a while: another trainer wrote it, or it is broken, which
    measuring it will tell.

    Args:
        settle: How long no file must have changed, in seconds.
        clock: The time in seconds, as of :func:`time.time`.
    """

    def __init__(self, settle: float, clock: Callable[[], float]) -> None:
        self._settle, self._clock = settle, clock
        self._since: dict[Path, tuple[object, float]] = {}

    def missing(self, folder: Path) -> str | None:
        """What a checkpoint still lacks; ``None`` if it is complete."""
        reason = incomplete(folder)
        if reason is None and trainer_state(folder) is not None:
            return None
        files = contents(folder)
        if not files:
            return "it is gone"
        now = self._clock()
        if folder not in self._since or self._since[folder][0] != files:
            self._since[folder] = files, now
        newest = max(changed for _, _, changed in files) / 1e9
        # Files may bear the time of another machine's clock.
        if max(now - newest, now - self._since[folder][1]) >= self._settle:
            return None
        return reason or f"no {TRAINER_STATE}, and files changed within {self._settle:g} s"


def contents(folder: Path) -> frozenset[tuple[str, int, int]]:
    """The files of a folder: name, size, and time of change in nanoseconds.

    The folder itself counts as one of them, since a copy that keeps times changes it. Empty if
    there is no such folder.
    """
    found = set()
    try:
        found.add((".", 0, folder.stat().st_mtime_ns))
        for path in folder.rglob("*"):
            if path.is_file():
                status = path.stat()
                name = path.relative_to(folder).as_posix()
                found.add((name, status.st_size, status.st_mtime_ns))
    except OSError:  # deleted meanwhile
        return frozenset()
    return frozenset(found)
