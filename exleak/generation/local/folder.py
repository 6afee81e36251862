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
    "added_tokens.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
#: Complete sets of weights, a file or an index, in the order in which transformers looks for them.
_SETS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_TOKEN_IDS = ("eos_token_id", "bos_token_id", "pad_token_id")


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder that no checkpoint can be loaded from as it was saved.

    Args:
        folder: The folder.
        name: What the user calls the model.

    Raises:
        ModelError: Files are missing, torn, no JSON, or pointers of Git LFS; token ids are of
            another type; or an adapter is beside the weights.
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
            _check_ids(_read_object(folder / file, name), file, name)
    sets = list(weight_sets(folder, name))
    if not sets and not any(True for kind in _WEIGHTS for _ in folder.glob(kind)):
        raise ModelError(
            f"model {name}: no weights in this folder (looked for {', '.join(_WEIGHTS)}); "
            "save them with save_pretrained, or merge the adapter first"
        )
    if sets and (folder / "adapter_config.json").is_file():
        raise ModelError(
            f"model {name}: an adapter (adapter_config.json) is beside the weights "
            f"{sets[0][0]}, and which of them is loaded depends on whether PEFT is installed; "
            "merge the adapter into a folder of its own, or move its files away"
        )


def _check_ids(found: dict[str, Any], file: str, name: str) -> None:
    """Refuse token ids that transformers would drop, or take for something else."""
    if file not in ("config.json", "generation_config.json"):
        return
    for key in _TOKEN_IDS:
        value = found.get(key)
        if not all(type(item) is int for item in _ids(value)):  # ``True`` is an int, too
            raise ModelError(
                f"model {name}: {key} of {file} is {value!r}, which is no token id and no list of "
                "them"
            )


def _ids(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


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
    for first in _SETS:
        path = folder / first
        if path.is_file():
            yield first, [path] if path.suffix != ".json" else _shards(path, name)


def _shards(index: Path, name: str) -> list[Path]:
    """The files of weights that an index names, all of them there."""
    mapped = _read_object(index, name).get("weight_map")
    if not isinstance(mapped, dict) or not mapped:
        raise ModelError(
            f"model {name}: {index.name} has no weight_map; was it written to the end?"
        )
    files = sorted({str(file) for file in mapped.values()})
    missing = [file for file in files if not (index.parent / file).is_file()]
    if missing:
        raise ModelError(
            f"model {name}: {index.name} names {len(files)} files of weights, and "
            f"{', '.join(missing[:3])} {'is' if len(missing) == 1 else 'are'} not there; was "
            "the checkpoint written or copied to the end?"
        )
    return [index.parent / file for file in files]


def check_end_of_text(folder: Path, has: Any, name: str) -> None:
    """Refuse a model without the end-of-text tokens of its generation_config.json.

    Args:
        folder: The checkpoint.
        has: ``eos_token_id`` of the loaded model.
        name: What the user calls the model.

    Raises:
        ModelError: transformers did not take that file, and went on without it.
    """
    file = folder / "generation_config.json"
    said = _read_object(file, name).get("eos_token_id") if file.is_file() else None
    if said is not None and _ids(said) != _ids(has):
        raise ModelError(
            f"model {name}: transformers does not take its generation_config.json: eos_token_id is "
            f"{said} there and {has} in the loaded model; save it again with save_pretrained"
        )
