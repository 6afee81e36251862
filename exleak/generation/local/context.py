"""How long a prompt and its continuation may get."""

from __future__ import annotations

from typing import Any

from exleak.errors import ModelError
from exleak.generation.local.model import LocalModel

#: What configurations call the longest context: most of them, Whisper's, MPT's.
_LONGEST = ("max_position_embeddings", "max_target_positions", "max_seq_len")
#: No context may be shorter; models are tried on almost as many tokens.
_SHORTEST = 16
#: Lengths beyond which an architecture treats tokens by their place in the batch's tensors: Llama 4
#: and Gemma 3n (chunks), Llama 4 (temperature of its attention), Doge.
_TURNS = ("attention_chunk_size", "floor_scale", "keep_window_size")


def check_model(model: LocalModel) -> None:
    """Refuse what cannot continue a text.

    Raises:
        ModelError: An encoder-decoder model, one that gives tuples, or a context of a few tokens.
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
    """New tokens that a prompt's context has room for.

    Args:
        model: The model.
        prompt: For the message.
        tokens: Its length.
        wanted: New tokens, at most.

    Raises:
        ModelError: There is no room at all.
    """
    longest = min(_lengths(model.config, _LONGEST), default=tokens + wanted)
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
    config = model.config
    turns = _lengths(config, _TURNS)
    # transformers 4 has it under the second name, and calls its type "type".
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    # One for the model, or one for each kind of layer.
    for kind in (rope, *(part for part in rope.values() if isinstance(part, dict))):
        if "longrope" in (kind.get("rope_type"), kind.get("type")):
            original = kind.get("original_max_position_embeddings")
            turns += [original or config.original_max_position_embeddings]
    return min(turns, default=None)


def _lengths(config: Any, names: tuple[str, ...]) -> list[int]:
    found = [getattr(config, name, None) for name in names]
    return [length for length in found if isinstance(length, int) and length > 0]
