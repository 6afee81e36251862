"""Adapters of PEFT: put on their base model, and merged into it where that is possible."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError, one_line
from exleak.generation.local.folder import ADAPTER

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

    from exleak.generation.local.checkpoint import Checkpoint

NO_EFFECT = "the adapter changes no logit of a trial: it has no effect"


def with_adapter(model: PreTrainedModel, checkpoint: Checkpoint) -> tuple[Any, tuple[str, ...]]:
    """Put a checkpoint's adapter on its base model.

    It is merged into the weights, which is faster and what is usually deployed, unless they are
    quantised or it is of a kind that cannot be merged (prompt and prefix tuning).

    Args:
        model: The base model.
        checkpoint: The checkpoint, with an adapter.

    Returns:
        The model with the adapter, and notes for the report.

    Raises:
        ModelError: PEFT is not installed, or the adapter does not fit the base model.
    """
    label, files = checkpoint.label, checkpoint.adapter
    assert files is not None
    try:
        from peft import PeftModel
    except ImportError:
        raise ModelError(
            f"model {label}: an adapter needs PEFT; run pip install 'exleak[adapters]', or merge "
            "the adapter into its base model (merge_and_unload) and measure that"
        ) from None
    with warnings.catch_warnings():
        # PEFT would go on with adapters that are as new.
        warnings.filterwarnings("error", message=r".*missing adapter keys")
        _resize(model, checkpoint)
        try:
            place: dict[str, Any] = files.arguments
            adapted: Any = PeftModel.from_pretrained(model, files.name, **place)
        except Exception as error:
            raise ModelError(
                f"model {label}: the adapter {files.name} does not fit its base model "
                f"{checkpoint.weights.name}: {one_line(error)}"
            ) from error
    adapted.eval()
    notes = () if _has_effect(adapted) else (NO_EFFECT,)
    if checkpoint.quantised is None and hasattr(adapted.base_model, "merge_and_unload"):
        try:
            return adapted.base_model.merge_and_unload(safe_merge=True), notes
        except ValueError as error:  # NaN in the merged weights
            raise ModelError(f"model {label}: {one_line(error)}") from error
    return adapted, notes


def _resize(model: PreTrainedModel, checkpoint: Checkpoint) -> None:
    """Give the base model as many embeddings as an adapter with embeddings of its own has."""
    from safetensors import safe_open

    files = checkpoint.adapter
    folder = files.folder(ADAPTER) if files else None
    path = folder / "adapter_model.safetensors" if folder else None
    if path is None or not path.is_file():
        return
    own = model.get_input_embeddings()
    name = next((name for name, module in model.named_modules() if module is own), "")
    with safe_open(path, framework="pt") as tensors:
        for key in tensors.keys():  # noqa: SIM118 - not a mapping
            if name and key.endswith(f"{name}.weight"):
                size = tensors.get_slice(key).get_shape()[0]
                if size != len(own.weight):
                    model.resize_token_embeddings(size, mean_resizing=False)


def _has_effect(adapted: Any) -> bool:
    """Whether the adapter changes a logit of some tokens."""
    import torch

    from exleak.generation.local.trial import trial_tokens

    config = adapted.config.get_text_config(decoder=True)
    ids = torch.tensor([trial_tokens(config)], device=adapted.device)

    def logits() -> torch.Tensor:
        found: torch.Tensor = adapted(input_ids=ids).logits[:, -1]
        return found

    with torch.inference_mode():
        changed = logits()
        with adapted.disable_adapter():
            return not torch.equal(changed, logits())
