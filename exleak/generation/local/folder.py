"""Checks of a checkpoint's folder before anything is loaded from it.

Imports nothing heavy: problems are reported before torch is imported.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from exleak.errors import ModelError

#: Configuration of an adapter (PEFT).
ADAPTER = "adapter_config.json"
_ADAPTER_WEIGHTS = ("adapter_model.safetensors", "adapter_model.bin")
_LFS = b"version https://git-lfs.github.com/spec/"
#: Files that must be JSON objects if they exist.
_OBJECTS = (
    "config.json",
    "generation_config.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "model.safetensors.index.json",
    "pytorch_model.bin.index.json",
)
#: Complete sets of weights, each a file or an index, in transformers' search order.
_SETS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)
_WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
_GGUF = b"GGUF"
_TOKEN_IDS = ("eos_token_id", "bos_token_id", "pad_token_id")


def check_folder(folder: Path, name: str) -> None:
    """Refuse a folder from which a checkpoint cannot be loaded as it was saved.

    Args:
        folder: The folder.
        name: The user's name for the model.

    Raises:
        ModelError: Files are missing, truncated, not JSON, or Git LFS pointers; token ids are of
            another type; or an adapter is beside the weights.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"model {name}: no config.json in this folder; is it a checkpoint?")
    _check_files(folder, name)
    sets = list(weight_sets(folder, name))
    if not sets and not any(True for kind in _WEIGHTS for _ in folder.glob(kind)):
        raise ModelError(
            f"model {name}: no weights in this folder (looked for {', '.join(_WEIGHTS)}); "
            "save them with save_pretrained"
        )
    if sets and (folder / ADAPTER).is_file():
        raise ModelError(
            f"model {name}: an adapter (adapter_config.json) is beside the weights "
            f"{sets[0][0]}, and which of them is loaded depends on whether PEFT is installed; "
            "merge the adapter into a folder of its own, or move its files away"
        )


def is_adapter(folder: Path) -> bool:
    """Whether a folder has an adapter and no model of its own."""
    return (folder / ADAPTER).is_file() and not (folder / "config.json").is_file()


def check_adapter(folder: Path, name: str) -> None:
    """Refuse a folder from which no adapter can be loaded as it was saved.

    Raises:
        ModelError: Files are missing, truncated, not JSON, or Git LFS pointers.
    """
    if not (folder / ADAPTER).is_file():
        raise ModelError(f"model {name}: no {ADAPTER} in {folder}; is it an adapter of PEFT?")
    _check_files(folder, name)
    read_object(folder / ADAPTER, name)
    if not any((folder / file).is_file() for file in _ADAPTER_WEIGHTS):
        raise ModelError(
            f"model {name}: an adapter without weights (looked for "
            f"{' and '.join(_ADAPTER_WEIGHTS)}); was it written or copied to the end?"
        )


def check_file(path: Path, name: str) -> None:
    """Refuse a GGUF file that is none.

    Raises:
        ModelError: It does not begin as a GGUF file, or is a Git LFS pointer.
    """
    _check_pointer(path, name)
    with path.open("rb") as file:
        if file.read(len(_GGUF)) != _GGUF:
            raise ModelError(f"model {name}: this file does not begin as a GGUF file does")


def _check_files(folder: Path, name: str) -> None:
    for path in sorted(folder.iterdir()):
        _check_pointer(path, name)
    for file in _OBJECTS:
        if (folder / file).is_file():
            _check_ids(read_object(folder / file, name), file, name)


def _check_pointer(path: Path, name: str) -> None:
    if path.is_file() and _is_pointer(path):
        raise ModelError(
            f"model {name}: {path.name} is a pointer of Git LFS, not the file itself; "
            "run `git lfs pull` in its repository"
        )


def _check_ids(found: dict[str, Any], file: str, name: str) -> None:
    """Refuse token ids that transformers would drop or misread."""
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


def read_object(path: Path, name: str) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        ModelError: It cannot be read, or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(
            f"model {name}: {path.name} is not JSON ({error}); was it written to the end?"
        ) from None
    if not isinstance(value, dict):
        raise ModelError(
            f"model {name}: {path.name} holds {type(value).__name__}, not a JSON object"
        )
    return value


def weight_sets(folder: Path, name: str) -> Iterator[tuple[str, list[Path]]]:
    """Yield the name of each set's weight file or index, and the set's files.

    Raises:
        ModelError: An index names missing files.
    """
    for first in _SETS:
        path = folder / first
        if path.is_file():
            yield first, [path] if path.suffix != ".json" else _shards(path, name)


def _shards(index: Path, name: str) -> list[Path]:
    """The weight files that an index names; all of them must exist."""
    mapped = read_object(index, name).get("weight_map")
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
    """Refuse a model that lacks the end-of-text tokens of its generation_config.json.

    Args:
        folder: The checkpoint.
        has: ``eos_token_id`` of the loaded model.
        name: The user's name for the model.

    Raises:
        ModelError: transformers ignored that file.
    """
    file = folder / "generation_config.json"
    said = read_object(file, name).get("eos_token_id") if file.is_file() else None
    if said is not None and _ids(said) != _ids(has):
        raise ModelError(
            f"model {name}: transformers does not take its generation_config.json: eos_token_id is "
            f"{said} there and {has} in the loaded model; save it again with save_pretrained"
        )
