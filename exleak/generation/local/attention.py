"""Attention of one new token a row, as two batched matrix products.

On the CPU torch's own kernel takes each row and head on its own, and for short contexts that takes
longer than the arithmetic: the products of all rows together need about two thirds of the time.
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

_NAME = "exleak"
_SDPA, _SDPA_MASK = AttentionInterface()["sdpa"], AttentionMaskInterface()["sdpa"]
#: What other kinds of attention hand over; given one of them, sdpa decides.
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
    """An attention function of transformers, equal to ``sdpa`` up to rounding.

    Args:
        module: The layer.
        query: Shape (rows, heads, new tokens, head size).
        key, value: Shape (rows, key heads, columns, head size).
        attention_mask: Added to the scores, shape (rows, 1, new tokens, columns).
        scaling: Of the scores; by default one over the root of the head size.

    Returns:
        Shape (rows, new tokens, heads, head size), and no weights.
    """
    mask = attention_mask
    special = any(kwargs.get(name) is not None for name in _SPECIAL)
    if mask is None or special or query.shape[2] != 1 or not mask.is_floating_point():
        found: tuple[torch.Tensor, None] = _SDPA(
            module, query, key, value, attention_mask, scaling=scaling, **kwargs
        )
        return found
    rows, heads, _, size = key.shape
    scale = size**-0.5 if scaling is None else scaling
    # Heads that share their keys take the place of new tokens.
    grouped = query.reshape(rows, heads, -1, size) * scale
    scores = grouped @ key.transpose(2, 3)
    scores += mask
    attended = torch.softmax(scores, dim=-1, out=scores) @ value
    return attended.reshape(rows, 1, query.shape[1], value.shape[-1]), None


def can_be_batched(model: Any) -> bool:
    """Whether a model's attention can be exchanged, and is worth it: float32 on the CPU."""
    return (
        isinstance(model, PreTrainedModel)
        and model.device.type == "cpu"
        and model.dtype == torch.float32
        and _text_config(model)._attn_implementation in ("sdpa", _NAME)
    )


def attention_batched(model: PreTrainedModel) -> AbstractContextManager[None]:
    """Exchange a model's attention over text, and put its own back."""
    return _batched_in(_text_config(model))


@while_needed  # by the configuration: models may share one
@contextmanager
def _batched_in(config: Any) -> Iterator[None]:
    AttentionInterface.register(_NAME, batched)
    AttentionMaskInterface.register(_NAME, _SDPA_MASK)
    before = config._attn_implementation
    # As set_attn_implementation does, which also reads the model's source to see whether it may.
    # Under the empty key: what attends to pictures has a configuration within this one.
    config._attn_implementation = {"": _NAME}
    try:
        yield
    finally:
        config._attn_implementation = {"": before}


def _text_config(model: PreTrainedModel) -> Any:
    return model.config.get_text_config(decoder=True)
