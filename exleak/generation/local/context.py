"""Limits on the length of a prompt and its continuation."""

from __future__ import annotations

from typing import Any

from exleak.errors import ModelError
from exleak.generation.local.model import LocalModel

#: Configuration names of the maximum context: of most models, of Whisper, of MPT.
_LONGEST = ("max_position_embeddings", "max_target_positions", "max_seq_len")
#: Minimum context in tokens; trials use almost as many.
_SHORTEST = 16
#: Configuration names of lengths beyond which an architecture treats tokens by their index in the
#: batch's tensors: Llama 4 and Gemma 3n (chunks), Llama 4 (attention temperature), Doge.
_TURNS = ("attention_chunk_size", "floor_scale", "keep_window_size")


def check_model(model: LocalModel) -> None:
    """Refuse a model that cannot continue a text.

    Raises:
        ModelError: An encoder-decoder model, one that returns tuples, or a context of few tokens.
    """
    if getattr(model.model.config, "return_dict", True) is False:
        raise ModelError(
            f"model {model.name}: return_dict is off in its configuration, so that it gives no "
            "cache by name; set model.config.return_dict = True"
        )
    if getattr(model.model.config, "is_encoder_decoder", False):
        raise ModelError(
            f"model {model.name}: {type(model.model).__name__} is an encoder-decoder model, which "
            "answers a text but does not continue it; give a causal language model"
        )
    longest = min(_lengths(model.config, _LONGEST), default=_SHORTEST)
    if longest < _SHORTEST:
        raise ModelError(
            f"model {model.name}: a context of {longest} tokens is too short to continue a text"
        )


def room(model: LocalModel, prompt: str, tokens: int, wanted: int) -> int:
    """Number of new tokens that fit into the context after a prompt.

    Args:
        model: The model.
        prompt: The prompt, for the error message.
        tokens: Its length in tokens.
        wanted: Maximum number of new tokens.

    Raises:
        ModelError: No new token fits.
    """
    longest = min(_lengths(model.config, _LONGEST), default=tokens + wanted)
    if tokens >= longest:
        raise ModelError(
            f"model {model.name}: a prompt of {tokens} tokens leaves no room in its "
            f"context of {longest}: {prompt[:80]!r}"
        )
    return min(wanted, longest - tokens)


def independent_up_to(model: LocalModel) -> int | None:
    """Length in tokens up to which rows of a batch are independent; ``None`` for any length.

    Beyond it, LongRoPE rotates the keys of every row by other angles as soon as one row is longer,
    and other architectures count cache columns instead of a row's tokens.
    """
    config = model.config
    turns = _lengths(config, _TURNS)
    # transformers 4 uses the second name, and "type" instead of "rope_type".
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # One entry for the model, or one for each kind of layer.
    for kind in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        if "longrope" in (kind.get("rope_type"), kind.get("type")):
            original = kind.get("original_max_position_embeddings")
            turns += [original or config.original_max_position_embeddings]
    return min(turns, default=None)


def _lengths(config: Any, names: tuple[str, ...]) -> list[int]:
    lengths = [getattr(config, name, None) for name in names]
    return [length for length in lengths if isinstance(length, int) and length > 0]
