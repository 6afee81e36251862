"""How long a prompt and its continuation may get."""

from __future__ import annotations

from typing import Any

from exleak.errors import ModelError
from exleak.generation.checkpoint import LocalModel

#: What configurations call the longest context.
_LONGEST = ("max_position_embeddings", "max_target_positions", "max_seq_len", "max_sequence_length")
#: Lengths beyond which an architecture treats tokens by their place in the batch's tensors.
_TURNS = ("attention_chunk_size", "floor_scale", "keep_window_size")


def room(model: LocalModel, prompt: str, tokens: int, wanted: int) -> int:
    """New tokens that a prompt's context has room for.

    Args:
        model: The model.
        prompt: For the message.
        tokens: Its length.
        wanted: New tokens, at most.

    Raises:
        ModelError: There is no room at all.
    """
    longest = min(_lengths(_config(model), _LONGEST), default=tokens + wanted)
    if tokens >= longest:
        raise ModelError(
            f"model {model.name}: a prompt of {tokens} tokens leaves no room in its "
            f"context of {longest}: {prompt[:80]!r}"
        )
    return min(wanted, longest - tokens)


def independent_up_to(model: LocalModel) -> int | None:
    """Tokens up to which rows of a batch do not depend on each other; ``None`` for any number.

    Beyond it LongRoPE turns the keys of every row by other angles as soon as one row is longer,
    and other architectures count columns of the cache where they mean tokens of the row.
    """
    config = _config(model)
    turns = _lengths(config, _TURNS)
    rope = getattr(config, "rope_parameters", None) or {}
    # One for the model, or one for each kind of layer.
    for kind in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        if kind.get("rope_type") == "longrope":
            original = kind.get("original_max_position_embeddings")
            turns += [original or config.original_max_position_embeddings]
    return min(turns, default=None)


def _config(model: LocalModel) -> Any:
    return model.model.config.get_text_config(decoder=True)


def _lengths(config: Any, names: tuple[str, ...]) -> list[int]:
    found = [getattr(config, name, None) for name in names]
    return [length for length in found if isinstance(length, int) and length > 0]
