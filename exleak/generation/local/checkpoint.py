"""The files of a checkpoint: weights, adapter and tokenizer. Imports nothing heavy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from exleak.errors import ModelError, SettingsError
from exleak.generation.local.devices import MaxMemory, memory_limits
from exleak.generation.local.folder import (
    ADAPTER,
    check_adapter,
    check_file,
    check_folder,
    is_adapter,
    read_object,
)
from exleak.model_names import Spelling, natural, spelled
from exleak.model_names import is_path as is_meant_as_path

#: Keys of :meth:`Checkpoint.content`, which tell one model from another.
CONTENT = ("checkpoint", "adapter", "tokenizer", "load")
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_GGUF = ".gguf"
#: Most folders that an error names.
_NAMED = 8
#: Arguments of ``from_pretrained`` that have a setting of their own.
_OWN = {
    "dtype": "dtype",
    "torch_dtype": "dtype",
    "device_map": "device",
    "max_memory": "max_memory",
    "trust_remote_code": "trust_remote_code",
    "gguf_file": "path (of the file)",
    "revision": "path (NAME@REVISION)",
    "output_loading_info": "none: exleak sets it",
    "ignore_mismatched_sizes": "none: exleak sets it",
}


@dataclass(frozen=True)
class Loading:
    """How a checkpoint is loaded, beyond device and dtype.

    Attributes:
        base: The base model of an adapter, in the place of the one in its configuration.
        tokenizer: A folder or hub name of another tokenizer.
        trust_remote_code: Whether Python code of the checkpoint may be run.
        max_memory: With the device ``"auto"``, what weights may take on each device, as in
            ``"0=20GiB,cpu=60GiB"`` or ``{0: "20GiB", "cpu": "60GiB"}``; devices that are not named
            are not used. The rest is offloaded to disk.
        arguments: Further arguments of ``from_pretrained``, for example ``subfolder`` and
            ``attn_implementation``.

    Raises:
        SettingsError: An argument has a setting of its own, or a memory limit is malformed.
    """

    base: str | None = None
    tokenizer: str | None = None
    trust_remote_code: bool = False
    max_memory: MaxMemory | None = None
    arguments: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in sorted(_OWN.keys() & self.arguments.keys()):
            raise SettingsError(f"load: {name} is not set there, but with {_OWN[name]}")
        memory_limits(self.max_memory or "")


@dataclass(frozen=True)
class Files:
    """A folder or hub repository, and the part of it that is meant.

    Attributes:
        name: A folder or a hub name.
        revision: Branch, tag or commit on the hub.
        subfolder: Folder within it.
        gguf: Name of a GGUF file within it.
    """

    name: str
    revision: str | None = None
    subfolder: str = ""
    gguf: str | None = None

    @property
    def arguments(self) -> dict[str, str]:
        """The arguments of ``from_pretrained`` that name the files."""
        named = {"revision": self.revision, "subfolder": self.subfolder, "gguf_file": self.gguf}
        return {name: value for name, value in named.items() if value}

    def folder(self, file: str = "config.json") -> Path | None:
        """The folder that has the files on this machine; ``None`` if they are on the hub alone.

        Args:
            file: A file that tells whether they are there.
        """
        from exleak.store.identity import local_folder

        return local_folder(self.name, self.revision, self.subfolder, file)


@dataclass(frozen=True)
class Checkpoint:
    """What a model is loaded from.

    Attributes:
        label: The user's name for it.
        weights: The weights; of an adapter, those of its base model.
        adapter: The adapter of PEFT, if there is one.
        loading: How it is loaded.
    """

    label: str
    weights: Files
    adapter: Files | None = None
    loading: Loading = field(default_factory=Loading)

    @property
    def tokenizer(self) -> Files:
        """The tokenizer: the one asked for, else the adapter's own, else that of the weights."""
        if self.loading.tokenizer is not None:
            named, _ = spelled(self.loading.tokenizer)
            return Files(str(_expanded(named.name)), named.revision)
        own = self.adapter.folder(ADAPTER) if self.adapter else None
        has_own = own is not None and (own / "tokenizer_config.json").is_file()
        return self.adapter if self.adapter is not None and has_own else self.weights

    @property
    def arguments(self) -> dict[str, Any]:
        """Arguments of ``from_pretrained`` for the weights, besides their place."""
        return {**self._own_arguments, "trust_remote_code": self.loading.trust_remote_code}

    @property
    def _own_arguments(self) -> dict[str, Any]:
        return {k: v for k, v in self.loading.arguments.items() if k != "subfolder"}

    @property
    def quantised(self) -> str | None:
        """Method of quantisation of the weights, as in config.json, for example ``"gptq"``.

        ``"unknown"`` if it is not named; ``None`` without quantisation.
        """
        asked = self.arguments.get("quantization_config")
        folder = self.weights.folder()
        config = asked if asked or folder is None else _config(folder).get("quantization_config")
        if not config:
            return None
        if not isinstance(config, Mapping):  # an object of transformers
            config = config.to_dict()
        # Older configurations of bitsandbytes name no method.
        bits = config.get("load_in_8bit") or config.get("load_in_4bit")
        return str(config.get("quant_method") or ("bitsandbytes" if bits else "unknown"))

    def is_here(self) -> bool:
        """Whether all files are on this machine."""
        from exleak.store.identity import is_whole

        folders = [self.weights.folder()] if self.weights.gguf is None else []
        folders += [self.adapter.folder(ADAPTER)] if self.adapter else []
        has_tokenizer = self.loading.tokenizer is None or self._tokenizer_folder() is not None
        return has_tokenizer and all(f is not None and is_whole(f) for f in folders)

    def content(self, memo: Path | None) -> dict[str, Any]:
        """What continuations depend on: hashes of files that are here, and arguments of loading.

        Args:
            memo: As for :func:`exleak.store.identity.checkpoint_hash`.
        """
        from exleak.store.identity import checkpoint_hash, tokenizer_hash

        folder = self.weights.folder()
        assert folder is not None
        code = self.loading.trust_remote_code
        known: dict[str, Any] = {
            "checkpoint": checkpoint_hash(folder, memo, file=self.weights.gguf, code=code)
        }
        if self.adapter is not None:
            place = self.adapter.folder(ADAPTER)
            known["adapter"] = checkpoint_hash(place, memo) if place else None
        if self.loading.tokenizer is not None:
            own = self._tokenizer_folder()
            known["tokenizer"] = tokenizer_hash(own, memo) if own else None
        if arguments := self._own_arguments:
            known["load"] = json.loads(json.dumps(arguments, sort_keys=True, default=repr))
        return known

    def _tokenizer_folder(self) -> Path | None:
        return self.tokenizer.folder("tokenizer_config.json")

    def resolved(self) -> Checkpoint:
        """The same, with the base model if the hub name is an adapter's. May ask the hub.

        Raises:
            ModelError: The adapter's base cannot be found.
        """
        if self.adapter is not None or self.weights.gguf is not None or self.weights.folder():
            return self
        folder = self.weights.folder(ADAPTER)
        return self if folder is None else _with_base(self, self.weights, folder)


def checkpoint_of(source: str | Path, loading: Loading | None = None) -> Checkpoint:
    """Resolve a source to the files of a checkpoint; refuse what cannot be one.

    A mistyped path is reported before anything else starts. The hub is not asked.

    Args:
        source: A checkpoint folder, adapter folder (PEFT), GGUF file, hub name or reference model's
            name; ``NAME@REVISION`` on the hub; ``BASE:ADAPTER``.
        loading: How it is loaded.

    Raises:
        ModelError: A path that does not exist, or without a checkpoint; or an adapter without its
            base.
    """
    label, loading = str(source), loading or Loading()
    named, adapter = spelled(label)
    for part in (named, adapter):
        if part is not None and part.revision is not None and _expanded(part.name).exists():
            raise ModelError(
                f"model {label}: {part.name} is on this machine, where it has no revision "
                f"{part.revision}; revisions are of models on the hub"
            )
    subfolder = str(loading.arguments.get("subfolder", ""))
    if adapter is not None:
        weights = _files(named, label, subfolder, is_path=is_meant_as_path(named))
        return Checkpoint(label, weights, _adapter(adapter, label), loading)
    place = _expanded(named.name)
    if place.is_dir() and is_adapter(place / subfolder):
        found = Checkpoint(label, Files(str(place), subfolder=subfolder), None, loading)
        return _with_base(found, found.weights, place / subfolder)
    is_path = isinstance(source, Path) or is_meant_as_path(named)
    files = _files(named, label, subfolder, is_path=is_path)
    if loading.base is None:
        return Checkpoint(label, files, None, loading)
    if place.is_dir():
        raise ModelError(
            f"model {label}: a base model is named, but this is no adapter: there is no "
            f"{ADAPTER} in its folder"
        )
    base, _ = spelled(loading.base)
    weights = _files(base, label, "", is_path=is_meant_as_path(base))
    return Checkpoint(label, weights, files, loading)


def _files(named: Spelling, label: str, subfolder: str, *, is_path: bool = False) -> Files:
    """The files of a model with weights of its own.

    Raises:
        ModelError: As :func:`checkpoint_of`.
    """
    from exleak import reference

    if named.name in reference.names():
        return Files(str(reference.path(named.name)))
    place = _expanded(named.name)
    if place.is_dir():
        if not (place / subfolder).is_dir():
            raise ModelError(f"model {label}: its folder has no subfolder {subfolder}")
        check_folder(place / subfolder, label)
        return Files(str(place), subfolder=subfolder)
    if place.exists():
        if place.suffix != _GGUF:
            raise ModelError(
                f"model {label}: this is a file; give the checkpoint's folder, or a {_GGUF} file"
            )
        check_file(place, label)
        return Files(str(place.parent), gguf=place.name)
    _check_hub_name(named, label, is_path=is_path)
    return Files(named.name, named.revision, subfolder)


def _adapter(named: Spelling, label: str) -> Files:
    place = _expanded(named.name)
    if place.is_dir():
        check_adapter(place, label)
        return Files(str(place))
    _check_hub_name(named, label, is_path=is_meant_as_path(named))
    return Files(named.name, named.revision)


def _check_hub_name(named: Spelling, label: str, *, is_path: bool = False) -> None:
    if is_path or not _HUB_NAME.fullmatch(named.name) or named.name.startswith("."):
        what = "" if named.name == label else f" {named.name}"
        raise ModelError(f"model {label}: there is no such folder{what}{_instead(named.name)}")


def _instead(name: str) -> str:
    """What a missing path may have been meant to be: folders beside it, or a name on the hub."""
    place = next(parent for parent in _expanded(name).parents if parent.is_dir())
    folders = sorted((path.name for path in place.glob("[!.]*/")), key=natural)
    said = ""
    if folders and place != Path(place.anchor):
        more = len(folders) - _NAMED
        shown = ", ".join(folders[:_NAMED]) + (f" and {more} more" if more > 0 else "")
        said = f"; in {place}/ there is: {shown}"
    if _HUB_NAME.fullmatch(name) and not name.startswith("."):
        said += f"; a model of that name on the hub is {name}@main"
    return said


def _with_base(checkpoint: Checkpoint, adapter: Files, folder: Path) -> Checkpoint:
    """The checkpoint of an adapter, whose folder is on this machine, with its base model."""
    label = checkpoint.label
    check_adapter(folder, label)
    config = read_object(folder / ADAPTER, label)
    said = checkpoint.loading.base or config.get("base_model_name_or_path")
    if not said:
        raise ModelError(
            f"model {label}: {ADAPTER} names no base model; name it: {_HOW_TO_NAME_A_BASE}"
        )
    named, _ = spelled(str(said))
    if checkpoint.loading.base is None and config.get("revision"):
        named = Spelling(named.name, str(config["revision"]))
    beside = folder / named.name
    if not _expanded(named.name).exists() and beside.is_dir():
        named = Spelling(str(beside))
    try:
        is_given = checkpoint.loading.base is not None  # else the adapter's folder names it
        weights = _files(named, label, "", is_path=is_given and is_meant_as_path(named))
    except ModelError as error:
        if checkpoint.loading.base is not None:
            raise
        reason = str(error).removeprefix(f"model {label}: ")
        raise ModelError(
            f"model {label}: its base model {said!r} ({ADAPTER}) cannot be used here: {reason}; "
            f"name another place: {_HOW_TO_NAME_A_BASE}"
        ) from None
    return replace(checkpoint, weights=weights, adapter=adapter)


def _config(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):  # loading reports it
        return {}
    return found if isinstance(found, dict) else {}


_HOW_TO_NAME_A_BASE = '--leakage-base NAME_OR_PATH, base = "…" in leakage.toml, or BASE:ADAPTER'


def _expanded(name: str) -> Path:
    return Path(name).expanduser()
