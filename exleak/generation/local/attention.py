"""Attention for one new token per row, as two batched matrix products.

On the CPU, torch's kernel processes each row and head separately, and for short contexts that
overhead exceeds the arithmetic: batched products over all rows need about two thirds of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    PreTrainedModel,
)

from exleak.generation.local.changes import while_needed
from exleak.generation.local.devices import main_device

_NAME = "exleak"
_SDPA, _SDPA_MASK = AttentionInterface()["sdpa"], AttentionMaskInterface()["sdpa"]
#: Arguments of other kinds of attention; if one is given, the call falls back to sdpa.
_SPECIAL = ("softcap", "s_aux", "position_bias", "cache")


def batched(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """An attention function for transformers, equal to ``sdpa`` up to rounding.

    Args:
        module: The attention layer.
        query: Shape (rows, heads, new tokens, head size).
        key, value: Shape (rows, key heads, columns, head size).
        attention_mask: Added to the scores, shape (rows, 1, new tokens, columns).
        scaling: Factor of the scores; by default 1 / sqrt(head size).

    Returns:
        The output, shape (rows, new tokens, heads, head size), and ``None`` for the weights.
    """
    mask = attention_mask
    special = any(kwargs.get(name) is not None for name in _SPECIAL)
    if mask is None or special or query.shape[2] != 1 or not mask.is_floating_point():
        output: tuple[torch.Tensor, None] = _SDPA(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return output
    rows, heads, _, size = key.shape
    scale = size**-0.5 if scaling is None else scaling
    # Query heads that share a key head are moved to the dimension of new tokens.
    grouped = query.reshape(rows, heads, -1, size) * scale
    scores = grouped @ key.transpose(2, 3)
    scores += mask
    attended = torch.softmax(scores, dim=-1, out=scores) @ value
    return attended.reshape(rows, 1, query.shape[1], value.shape[-1]), None


def can_be_batched(model: Any) -> bool:
    """Whether replacing a model's attention is possible and useful: float32 on the CPU."""
    return (
        isinstance(model, PreTrainedModel)
        and main_device(model).type == "cpu"
        and model.dtype == torch.float32
        and _text_config(model)._attn_implementation in ("sdpa", _NAME)
    )


def attention_batched(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Replace the attention of a model's text part, and restore it on exit."""
    return _batched_in(_text_config(model))


@while_needed  # keyed by the configuration, which models may share
@contextmanager
def _batched_in(config: Any) -> Iterator[None]:
    AttentionInterface.register(_NAME, batched)
    AttentionMaskInterface.register(_NAME, _SDPA_MASK)
    before = config._attn_implementation
    # The same as set_attn_implementation, without its check of the model's source. The empty key
    # excludes nested configurations, such as that of an image encoder.
    config._attn_implementation = {"": _NAME}
    try:
        yield
    finally:
        config._attn_implementation = {"": before}


def _text_config(model: PreTrainedModel) -> Any:
    return model.config.get_text_config(decoder=True)
