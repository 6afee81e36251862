"""Model objects inside a training loop's wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from exleak.errors import ModelError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def unwrapped(model: Any) -> PreTrainedModel:
    """The model inside DataParallel, DistributedDataParallel and the like; others are unchanged.

    A compiled model stays compiled, unless the compiled object is such a wrapper.

    Raises:
        ModelError: Not a language model, or one whose weights are sharded over processes (FSDP).
    """
    import torch

    parallel = (torch.nn.DataParallel, torch.nn.parallel.DistributedDataParallel)
    while True:
        inner = getattr(model, "_orig_mod", model)
        if type(inner).__name__ == "FullyShardedDataParallel":
            raise ModelError(
                "a model in FullyShardedDataParallel has its weights spread over processes; save "
                "it (full state dict) and measure the folder"
            )
        within = getattr(inner, "module", None)
        if not (
            isinstance(inner, parallel)
            or (isinstance(within, torch.nn.Module) and not hasattr(inner, "config"))
        ):
            break
        model = within
    if not (hasattr(model, "config") and hasattr(model, "get_input_embeddings")):
        raise ModelError(
            f"a {type(model).__name__} is no causal language model of transformers; give one "
            "with its tokenizer, or the folder it was saved in"
        )
    language_model: PreTrainedModel = model
    return language_model
