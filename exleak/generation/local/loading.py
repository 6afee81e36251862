"""Loading of a causal language model from a folder, hub name, reference model or object."""

from __future__ import annotations

import os
import weakref
from dataclasses import replace
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import ExleakError, ModelError, SettingsError, one_line
from exleak.generation.local.adapter import with_adapter
from exleak.generation.local.checkpoint import Checkpoint, Loading, checkpoint_of
from exleak.generation.local.devices import (
    AUTO,
    check_devices,
    devices,
    offloading_note,
    spreading,
)
from exleak.generation.local.folder import check_end_of_text, check_folder
from exleak.generation.local.model import LocalModel
from exleak.generation.local.replicas import with_replicas
from exleak.generation.local.weights import check_sets, check_weights
from exleak.generation.local.weights_told import weights_told
from exleak.generation.local.wrappers import unwrapped
from exleak.generation.requests import Chat, ChatUse, Template, check_chat
from exleak.hub import bounded
from exleak.model_names import short_names
from exleak.progress import phase
from exleak.resources import limit_torch

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


def load_model(
    source: str | Path | PreTrainedModel | LocalModel,
    tokenizer: PreTrainedTokenizerBase | None = None,
    *,
    device: str | None = None,
    dtype: str | None = None,
    chat: Chat = "auto",
    name: str | None = None,
    loading: Loading | None = None,
    template: Template | None = None,
) -> LocalModel:
    """Load a causal language model for generation.

    Args:
        source: A checkpoint folder, an adapter's folder (PEFT), a GGUF file, a hub name (also
            ``NAME@REVISION``), ``BASE:ADAPTER``, a reference model's name, or a model object.
        tokenizer: Required with a model object; otherwise the checkpoint's tokenizer is used.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``…; by default CUDA if available. ``"auto"``
            spreads the layers over all devices (accelerate); a list such as ``"cuda:0,cuda:1"``
            has a copy of the model on each, in a process of its own, and splits the prompts.
        dtype: ``"float32"``, ``"bfloat16"``…; by default float32 on the CPU, bfloat16 elsewhere.
        chat: ``"auto"`` uses the tokenizer's chat template if there is one; ``"always"`` requires
            one; ``"never"`` sends the bare text; ``"prefill"`` requires one and has the model
            continue its own turn, which begins with the control prompt.
        name: The model's name in reports; by default the source.
        loading: How a checkpoint is loaded beyond that.
        template: System prompt and variables for the chat template.

    Raises:
        ModelError: Nothing usable at ``source``; the message says what was looked for.
        SettingsError: An unknown ``chat`` or ``dtype``, or malformed devices or memory limits.
    """
    check_chat(chat)
    check_devices(device, loading.max_memory if loading else None)
    if isinstance(source, LocalModel):
        return source
    if not isinstance(source, (str, Path)):
        if tokenizer is None:
            raise ModelError("a model object needs its tokenizer: measure(model, tokenizer=…)")
        source = unwrapped(source)
        label = name or getattr(source.config, "name_or_path", "") or type(source).__name__
        label = name or short_names([label])[0]
        notes = offloading_note(source)
        return _local_model(label, source, tokenizer, chat, template, notes)
    label = name or short_names([str(source)])[0]
    if device is not None and len(copies := devices(device)) > 1:
        load = partial(
            load_model,
            source,
            dtype=dtype,
            chat=chat,
            name=label,
            loading=loading,
            template=template,
        )
        return with_replicas(load, copies)
    checkpoint = replace(checkpoint_of(source, loading), label=label)
    model, loaded, notes = _load(checkpoint.weights.name, checkpoint, device, dtype)
    return _local_model(label, model, loaded, chat, template, notes)


def _local_model(
    label: str,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    chat: Chat,
    template: Template | None,
    notes: tuple[str, ...] = (),
) -> LocalModel:
    use = _use_chat(chat, tokenizer, label)
    if template and not use:
        raise ModelError(
            f"model {label}: a system prompt or template variables are set, but no chat template "
            "is used; leave them out, or set chat to always"
        )
    return LocalModel(label, model, tokenizer, use, notes, template or Template())


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
    hub_name: str, checkpoint: Checkpoint, device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, PreTrainedTokenizerBase, tuple[str, ...]]:
    """Model, tokenizer, and caveats on how they were loaded."""
    from transformers import AutoTokenizer
    from transformers.utils import logging

    limit_torch()  # not for a model object: its owner has set torch's threads
    logging.disable_progress_bar()
    name, part = checkpoint.label, "its tokenizer "
    try:
        checkpoint = checkpoint.resolved()
        files = checkpoint.tokenizer
        remote = checkpoint.loading.trust_remote_code
        tokenizer = AutoTokenizer.from_pretrained(
            files.name, trust_remote_code=remote, **files.arguments
        )
        part = ""
        with phase("loading", "bytes", _size(checkpoint)), weights_told():
            model, notes = _load_weights(checkpoint, device, dtype)
        if checkpoint.adapter is not None:
            model, more = with_adapter(model, checkpoint)
            notes = (*notes, *more)
        return model.eval(), tokenizer, notes
    except ExleakError:
        raise
    except Exception as error:  # safetensors and tokenizers raise their own types
        is_folder = Path(checkpoint.weights.name).is_dir()
        place = "its folder" if is_folder else "the hub or its cache, nor is it a folder"
        how = f" (quantised with {checkpoint.quantised})" if checkpoint.quantised else ""
        raise ModelError(
            f"model {name}: {part}cannot be loaded{how} from {place}: {one_line(error)}"
            f"{_about_code(error)}"
        ) from error


def _size(checkpoint: Checkpoint) -> int:
    """Bytes of the weights; 0 if they are on the hub or in its cache."""
    from exleak.store.identity import weights_size

    files = checkpoint.weights
    folder = Path(files.name) / files.subfolder
    return weights_size(folder, files.gguf) if folder.is_dir() else 0


def _load_weights(
    checkpoint: Checkpoint, device: str | None, dtype: str | None
) -> tuple[PreTrainedModel, tuple[str, ...]]:
    from transformers import AutoModelForCausalLM

    files = checkpoint.weights
    where, name_of_dtype = placement(device, dtype)
    kind = _dtype(name_of_dtype)
    spread: dict[str, Any] = {}
    offloaded = None
    if device == AUTO:
        spread, offloaded = spreading(checkpoint.loading.max_memory)
    elif checkpoint.quantised is not None:  # it cannot be moved afterwards
        spread = {"device_map": {"": where}}
    if checkpoint.quantised is not None and dtype is None:
        kind = "auto"
    model, loaded = AutoModelForCausalLM.from_pretrained(
        files.name,
        dtype=kind,
        output_loading_info=True,
        ignore_mismatched_sizes=True,
        **spread,
        **files.arguments,
        **checkpoint.arguments,
    )
    if offloaded is not None:
        weakref.finalize(model, offloaded.cleanup)
    notes = (*_checked(model, loaded, checkpoint), *offloading_note(model))
    return model if spread else model.to(where), notes


def _checked(
    model: PreTrainedModel, loaded: dict[str, Any], checkpoint: Checkpoint
) -> tuple[str, ...]:
    """Notes on the weights of a loaded model, after checking them."""
    name, files = checkpoint.label, checkpoint.weights
    if files.gguf is not None:
        dtype = str(model.dtype).removeprefix("torch.")
        return (f"the weights of {files.gguf} were dequantised to {dtype}",)
    folder = files.folder()
    if folder is not None:
        check_folder(folder, name)
        check_sets(folder, name)
        check_end_of_text(folder, getattr(model.generation_config, "eos_token_id", None), name)
    return tuple(check_weights(model, loaded, folder, name))


def _about_code(error: Exception) -> str:
    if "trust_remote_code" not in str(error):
        return ""
    return (
        "; if you trust the checkpoint's Python code: --leakage-trust-remote-code, or "
        "trust_remote_code = true in leakage.toml"
    )


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
