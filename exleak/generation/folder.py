"""A checkpoint's folder, looked through before anything is loaded from it.

Imports nothing heavy: what is wrong with a folder is told before torch is there.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exleak.errors import ModelError

_LFS = b"version https://git-lfs.github.com/spec/"
#: Files that must be JSON objects where they are.
_OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
#: Complete sets of weights in the order in which transformers looks for them.
_SETS = (
    ("model.safetensors", None),
    ("model-*-of-*.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", None),
    ("pytorch_model-*-of-*.bin", "pytorch_model.bin.index.json"),
)
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that no checkpoint can be loaded from as it was saved.

    Args:
        folder: The folder.
        name: What the user calls the model.

    Raises:
        ModelError: Files are missing, torn, no JSON, or pointers of Git LFS; or there are two sets
            of weights, of which the one that would not be loaded is newer.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {name}: no config.json in this folder; is it a checkpoint?")
    for path in sorted(folder.iterdir()):
        if path.is_file() and _is_pointer(path):
            raise ModelError(
                f"model {name}: {path.name} is a pointer of Git LFS, not the file itself; "
                "run `git lfs pull` in its repository"
            )
    for file in _OBJECTS:
        if (folder / file).is_file():
            _read_object(folder / file, name)
    sets = list(weight_sets(folder, name))
    if not sets and not any(True for kind in _WEIGHTS for _ in folder.glob(kind)):
        raise ModelError(
            f"model {name}: no weights in this folder (looked for {', '.join(_WEIGHTS)}); "
            "save them with save_pretrained, or merge the adapter first"
        )
    _check_sets(folder, sets, name)


def _is_pointer(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_LFS)) == _LFS
    except OSError:
        return False


def _read_object(path: Path, name: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"model {name}: {path.name} is not JSON ({error}); was it written to the end?"
        ) from None
    if not isinstance(found, dict):
        raise ModelError(
            f"model {name}: {path.name} holds {type(found).__name__}, not a JSON object"
        )
    return found


def weight_sets(folder: Path, name: str) -> Iterator[tuple[str, list[Path]]]:
    """Each set of weights by its first file's name or its index, with its files.

    Raises:
        ModelError: An index names files that are not there.
    """
    for pattern, index in _SETS:
        if index is None:
            if (folder / pattern).is_file():
                yield pattern, [folder / pattern]
            continue
        if not (folder / index).is_file():
            continue
        mapped = _read_object(folder / index, name).get("weight_map")
        if not isinstance(mapped, dict) or not mapped:
            raise ModelError(f"model {name}: {index} has no weight_map; was it written to the end?")
        files = sorted({str(file) for file in mapped.values()})
        missing = [file for file in files if not (folder / file).is_file()]
        if missing:
            raise ModelError(
                f"model {name}: {index} names {len(files)} files of weights, and "
                f"{', '.join(missing[:3])} {'is' if len(missing) == 1 else 'are'} not there; was "
                "the checkpoint written or copied to the end?"
            )
        yield index, [folder / file for file in files]


def _check_sets(folder: Path, sets: list[tuple[str, list[Path]]], name: str) -> None:
    """Refuse leftovers: another set that is newer than the one transformers takes."""
    if len(sets) < 2:
        return
    (first, files), *others = sets
    loaded = max(path.stat().st_mtime_ns for path in files)
    for other, their_files in others:
        newer = max(path.stat().st_mtime_ns for path in their_files) > loaded
        both_safetensors = first.endswith(".safetensors") and "safetensors" in other
        if both_safetensors or (newer and not _in_hub_cache(folder)):
            raise ModelError(
                f"model {name}: two sets of weights in this folder, {first} and {other}; "
                f"transformers would load {first}"
                f"{', which is the older one' if newer else ''}; remove the one that is not meant"
            )


def _in_hub_cache(folder: Path) -> bool:
    """Whether all files were fetched together: their times say nothing there."""
    return folder.parent.name == "snapshots"


def notes_of(folder: Path) -> list[str]:
    """What a reader must know of a folder that can be loaded."""
    sets = list(weight_sets(folder, folder.name))
    if len(sets) < 2:
        return []
    others = ", ".join(other for other, _ in sets[1:])
    return [f"measured are the weights in {sets[0][0]}, not those in {others} beside it"]
