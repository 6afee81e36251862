"""Check that the weights of a checkpoint are in the model loaded from it.

If the names in the files do not match the model's, transformers continues with random weights.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError
from exleak.generation.local.folder import weight_sets
from exleak.generation.local.weight_content import COMPUTED, difference

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

#: Name parts that wrappers insert anywhere, with the wrapper that does so.
_WRAPPERS = {
    "_orig_mod": "torch.compile",
    "_fsdp_wrapped_module": "FSDP",
    "_checkpoint_wrapped_module": "activation checkpointing",
    "_forward_module": "Lightning or DeepSpeed",
    "module": "DataParallel, DDP or DeepSpeed",
}
_ADAPTER = re.compile(r"(?:^|\.)(?:lora_\w+|base_layer|modules_to_save)\.")
_SHOWN = 3


def check_weights(
    model: PreTrainedModel, loaded: dict[str, Any], folder: Path | None, name: str
) -> list[str]:
    """Check that every weight of a model comes from its checkpoint.

    Names that a wrapper changed are corrected.

    Args:
        model: The loaded model.
        loaded: Loading info from ``from_pretrained(…, output_loading_info=True)``.
        folder: The checkpoint's folder, if known.
        name: The user's name for the model.

    Returns:
        Notes for the reader of the report.

    Raises:
        ModelError: Weights are missing, have another shape, or are left out although they belong
            to the model; the message names some, and the reason.
    """
    if mismatched := list(loaded.get("mismatched_keys", ())):
        raise ModelError(f"model {name}: {_mismatch(mismatched)}")
    missing = _not_computed(loaded.get("missing_keys", ()))
    unexpected = _not_computed(loaded.get("unexpected_keys", ()))
    notes = []
    if _is_quantised(model):  # other tensors depend on the method of quantisation
        missing = [key for key in missing if key.endswith((".weight", ".bias"))]
    if missing:
        repaired = _repair(model, missing, unexpected, folder, name)
        if repaired is None:
            raise ModelError(f"model {name}: {_missing(missing, unexpected)}")
        wrapper, unexpected = repaired
        notes.append(f"the names of the weights were saved with {wrapper}, which was taken off")
    if _is_quantised(model):
        return notes
    if own := _own(model, unexpected):
        raise ModelError(
            f"model {name}: {_listed(own)} in the checkpoint and would be left out, though the "
            "model has such parts; does config.json (num_hidden_layers, attention_bias, "
            "quantization_config) fit the weights, and were adapters merged?"
        )
    if unexpected:
        notes.append(f"{_listed(unexpected)} in the checkpoint, but not in the model: not used")
    return notes


def check_sets(folder: Path, name: str) -> None:
    """Refuse a folder with two sets of weights that differ.

    Neither time stamps nor names show which one is meant.

    Raises:
        ModelError: There are two such sets; the message names both and the difference.
    """
    sets = list(weight_sets(folder, name))
    for other, files in sets[1:]:
        first, loaded = sets[0]
        if reason := difference(loaded, files):
            raise ModelError(
                f"model {name}: two sets of weights in this folder, {first} and {other}, and they "
                f"differ ({reason}); transformers would load {first}; remove the one that is not "
                "meant"
            )


def _not_computed(keys: Iterable[str]) -> list[str]:
    return sorted(key for key in keys if not COMPUTED.search(key))


def _own(model: PreTrainedModel, unexpected: Sequence[str]) -> list[str]:
    """Tensors without a place in the model that look like parts of it.

    These are further layers, further parameters of its modules, its names with a prefix, or an
    adapter's tensors.
    """
    names = model.state_dict().keys()
    modules = {key.rpartition(".")[0] for key in names}
    kinds = {re.sub(r"\d+", "0", key) for key in names}

    def is_own(key: str) -> bool:
        parts = key.split(".")
        return (
            ".".join(parts[:-1]) in modules
            or re.sub(r"\d+", "0", key) in kinds
            or any(".".join(parts[start:]) in names for start in range(1, len(parts) - 1))
            or bool(_ADAPTER.search(key))
        )

    return [key for key in unexpected if is_own(key)]


def _is_quantised(model: PreTrainedModel) -> bool:
    return getattr(model.config, "quantization_config", None) is not None


def _mismatch(mismatched: Sequence[Any]) -> str:
    shown = []
    for entry in mismatched[:_SHOWN]:
        if isinstance(entry, str):  # transformers 4 names the weight alone
            shown.append(entry)
            continue
        key, *shapes = entry
        there, here = ("×".join(map(str, shape)) for shape in shapes)
        shown.append(f"{key} ({there} in the file, {here} in the model)")
    return (
        f"{len(mismatched)} weights have another shape than config.json says: {', '.join(shown)}; "
        "is the configuration another model's, or was the vocabulary resized after it was saved?"
    )


def _missing(missing: Sequence[str], unexpected: Sequence[str]) -> str:
    what = f"{_listed(missing)} not in the checkpoint; transformers would fill in random weights"
    if any("lora_" in key or "base_layer" in key for key in unexpected):
        return (
            f"{what}. The files hold an adapter (PEFT): merge it before saving (merge_and_unload)"
        )
    if unexpected and all("." not in key for key in unexpected):
        return (
            f"{what}. The files hold {', '.join(unexpected[:_SHOWN])}: a training state around the "
            "weights; save the model with save_pretrained"
        )
    if unexpected:
        return (
            f"{what}. The files have other names, such as {', '.join(unexpected[:_SHOWN])}: was it "
            "saved from a wrapper, or is the architecture in config.json another one?"
        )
    return f"{what}. Was it written to the end?"


def _listed(keys: Sequence[str]) -> str:
    shown = ", ".join(keys[:_SHOWN])
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{shown}{more} {'is' if len(keys) == 1 else 'are'}"


def _repair(
    model: PreTrainedModel,
    missing: Sequence[str],
    unexpected: Sequence[str],
    folder: Path | None,
    name: str,
) -> tuple[str, list[str]] | None:
    """Load weights whose names a wrapper changed.

    Returns:
        The wrapper, and tensors without a place in the model; ``None`` if no wrapper explains the
        names.
    """
    if folder is None or not unexpected:
        return None
    renamed = _without_wrappers(unexpected, set(missing))
    if renamed is None:
        return None
    names, wrapper = renamed
    if any(parameter.is_meta for parameter in model.parameters()):
        raise ModelError(
            f"model {name}: the names of its weights were saved with {wrapper}, which cannot be "
            "taken off while layers are offloaded; save it anew without the wrapper"
        )
    (_, files), *_ = weight_sets(folder, name)
    state = {names.get(key, key): value for file in files for key, value in _read(file).items()}
    own = model.state_dict()
    if any(key in own and own[key].shape != value.shape for key, value in state.items()):
        return None
    result = model.load_state_dict(state, strict=False)
    left = result.missing_keys
    model.tie_weights()
    tied = set(getattr(model, "_tied_weights_keys", None) or ())
    if set(left) - tied - {"lm_head.weight"} or _untied(model, left):
        return None
    return wrapper, _not_computed(result.unexpected_keys)


def _untied(model: PreTrainedModel, left: Iterable[str]) -> bool:
    """Whether the output layer is missing and is not tied to the embeddings."""
    return "lm_head.weight" in left and not model.config.get_text_config().tie_word_embeddings


def _without_wrappers(keys: Sequence[str], missing: set[str]) -> tuple[dict[str, str], str] | None:
    """New names by old ones that supply every missing weight, and the wrapper parts removed."""
    parts = [part for part in _WRAPPERS if any(part in key.split(".") for key in keys)]
    names = {key: ".".join(p for p in key.split(".") if p not in _WRAPPERS) for key in keys}
    said = " and ".join(f"{part!r} ({_WRAPPERS[part]})" for part in parts)
    for _ in range(3):
        gained = set(names.values())
        if missing - gained <= {"lm_head.weight"} and len(gained) == len(names):
            return names, said
        heads = {re.split(r"\.", new, maxsplit=1)[0] for new in names.values()}
        if len(heads) != 1 or any("." not in new for new in names.values()):
            return None
        head = heads.pop()
        said = f"{said} and {head!r} before each" if said else f"{head!r} before each"
        names = {key: new.partition(".")[2] for key, new in names.items()}
    return None


def _read(path: Path) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch

    tensors: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return tensors
