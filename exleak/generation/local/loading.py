"""Loading of a causal language model from a folder, hub name, reference model or object."""

from __future__ import annotations

import os
import re
import weakref
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError, SettingsError
from exleak.generation.local.devices import (
    AUTO,
    MaxMemory,
    check_devices,
    devices,
    offloading_note,
    spreading,
)
from exleak.generation.local.folder import check_end_of_text, check_folder
from exleak.generation.local.model import LocalModel
from exleak.generation.local.replicas import with_replicas
from exleak.generation.local.weights import check_sets, check_weights
from exleak.generation.local.wrappers import unwrapped
from exleak.generation.requests import Chat, ChatUse, check_chat
from exleak.hub import bounded
from exleak.model_names import short_names
from exleak.resources import limit_torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")
_LONGEST_REASON = 600


def load_model(
    source: str | Path | PreTrainedModel | LocalModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    name: str | None = None,
    max_memory: MaxMemory | None = None,
) -> LocalModel:
    """Load a causal language model for generation.

    Args:
        source: A checkpoint folder, a hub name, a reference model's name, or a model object.
        tokenizer: Required with a model object; otherwise the checkpoint's tokenizer is used.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``…; by default CUDA if available. ``"auto"``
            spreads the layers over all devices (accelerate); a list such as ``"cuda:0,cuda:1"``
            has a copy of the model on each, in a process of its own, and splits the prompts.
        dtype: ``"float32"``, ``"bfloat16"``…; by default float32 on the CPU, bfloat16 elsewhere.
        chat: ``"auto"`` uses the tokenizer's chat template if there is one; ``"always"`` requires
            one; ``"never"`` sends the bare text; ``"prefill"`` requires one and has the model
            continue its own turn, which begins with the control prompt.
        name: The model's name in reports; by default the source.
        max_memory: With ``"auto"``, what weights may take on each device, as in
            ``"0=20GiB,cpu=60GiB"`` or ``{0: "20GiB", "cpu": "60GiB"}``; devices that are not named
            are not used. The rest is offloaded to disk.

    Raises:
        ModelError: Nothing usable at ``source``; the message says what was looked for.
        SettingsError: An unknown ``chat`` or ``dtype``, or malformed devices or memory limits.
    """
    check_chat(chat)
    check_devices(device, max_memory)
    if isinstance(source, LocalModel):
        return source
    if not isinstance(source, (str, Path)):
        if tokenizer is None:
            raise ModelError("a model object needs its tokenizer: measure(model, tokenizer=…)")
        source = unwrapped(source)
        label = name or getattr(source.config, "name_or_path", "") or type(source).__name__
        label = name or short_names([label])[0]
        notes = offloading_note(source)
        return LocalModel(label, source, tokenizer, _use_chat(chat, tokenizer, label), notes)
    label = name or short_names([str(source)])[0]
    path = locate(source)
    if device is not None and len(copies := devices(device)) > 1:
        return with_replicas(partial(load_model, path, dtype=dtype, chat=chat, name=label), copies)
    model, loaded, notes = _load(path, label, device, dtype, max_memory)
    return LocalModel(label, model, loaded, _use_chat(chat, loaded, label), notes)


def locate(source: str | Path) -> str:
    """Resolve a source to a path or name for transformers; refuse what cannot be a checkpoint.

    Imports nothing heavy, so that a mistyped path is reported before anything else starts.

    Args:
        source: A checkpoint folder, a hub name or a reference model's name.

    Returns:
        A folder or a hub name.

    Raises:
        ModelError: A path that does not exist, or a folder without a checkpoint.
    """
    from exleak import reference

    name = str(source)
    if name in reference.names():
        return str(reference.path(name))
    path = Path(source).expanduser()
    if path.is_dir():
        check_folder(path, name)
        return str(path)
    if path.exists():
        raise ModelError(f"model {name}: this is a file; give the checkpoint's folder")
    if isinstance(source, Path) or not _HUB_NAME.fullmatch(name) or name.startswith("."):
        raise ModelError(f"model {name}: there is no such folder")
    return name


def has_cuda() -> bool:
    """Whether CUDA is available, determined without importing torch."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None and visible.strip() in ("", "-1"):
        return False
    if "+cpu" in metadata.version("torch"):
        return False
    return any(Path(path).exists() for path in ("/dev/nvidia0", "/dev/nvidiactl", "/dev/dxg"))


def placement(device: str | None, dtype: str | None) -> tuple[str, str]:
    """Device and dtype of a model: by default CUDA and bfloat16 if CUDA is available.

    Of several devices the first; of a spread model the type of the devices that compute.

    >>> placement("cpu", None)
    ('cpu', 'float32')
    """
    where = devices(device or AUTO)[0]
    if where == AUTO:
        where = "cuda" if has_cuda() else "cpu"
    return where, dtype or ("float32" if where == "cpu" else "bfloat16")


@bounded
def _load(
    path: str, name: str, device: str | None, dtype: str | None, max_memory: MaxMemory | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, tuple[str, ...]]:
    """Model, tokenizer, and caveats on how they were loaded."""
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    from exleak.store.identity import local_folder

    limit_torch()  # not for a model object: its owner has set torch's threads
    logging.disable_progress_bar()
    where, name_of_dtype = placement(device, dtype)
    kind = _dtype(name_of_dtype)
    spread, offloaded = spreading(max_memory) if device == AUTO else ({}, None)
    part = "its tokenizer "
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
        part = ""
        model, loaded = AutoModelForCausalLM.from_pretrained(
            path, dtype=kind, output_loading_info=True, ignore_mismatched_sizes=True, **spread
        )
        if offloaded is not None:
            weakref.finalize(model, offloaded.cleanup)
        folder = local_folder(path)
        if folder is not None:
            check_folder(folder, name)
            check_sets(folder, name)
            check_end_of_text(folder, getattr(model.generation_config, "eos_token_id", None), name)
        notes = check_weights(model, loaded, folder, name)
        notes += offloading_note(model)
        return (model if spread else model.to(where)).eval(), tokenizer, tuple(notes)
    except ModelError:
        raise
    except Exception as error:  # safetensors and tokenizers raise their own types
        place = "its folder" if Path(path).is_dir() else "the hub or its cache, nor is it a folder"
        raise ModelError(
            f"model {name}: {part}cannot be loaded from {place}: {one_line(error)}"
        ) from error


def one_line(error: BaseException) -> str:
    """Type and message of an error in one line, truncated if long."""
    said = f"{type(error).__name__}: {' '.join(str(error).split())}"
    return said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"


def _dtype(name: str) -> Any:
    import torch

    kind = getattr(torch, name, None)
    if not isinstance(kind, torch.dtype) or not kind.is_floating_point:
        raise SettingsError(f"dtype {name!r} is unknown; use float32, bfloat16 or float16")
    return kind


def _use_chat(chat: Chat, tokenizer: PreTrainedTokenizerBase, name: str) -> ChatUse:
    has_template = bool(getattr(tokenizer, "chat_template", None))
    if chat in ("always", "prefill") and not has_template:
        raise ModelError(f"model {name}: chat is {chat!r}, but its tokenizer has no chat template")
    if chat == "prefill":
        return "prefill"
    return has_template if chat == "auto" else chat == "always"
