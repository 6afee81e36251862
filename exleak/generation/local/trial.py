"""Trial of a model on a few tokens before a run depends on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from exleak.errors import ModelError
from exleak.generation.local.memory import is_out_of_memory
from exleak.generation.local.model import LocalModel

#: Tolerated mean difference of the highest logits, relative to their range, by the bytes that they
#: were computed in.
_TOLERANCE = {4: 1e-3, 2: 0.1}
#: Number of highest logits compared.
_BEST = 20
#: Number of tokens in a trial.
_TOKENS = 12
#: Reason why a continuation with NaN or infinite logits fails.
NOT_NUMBERS = (
    "the logits are NaN or infinite; the weights are broken, or overflow in this dtype "
    "(try --leakage-dtype float32)"
)


def trial_tokens(config: Any) -> list[int]:
    """A few token ids to try a model with this configuration on.

    They differ: with equal tokens, masks and positions make no difference.
    """
    size = config.vocab_size
    return [(number + 1) * size // (_TOKENS + 2) for number in range(_TOKENS)]


@contextmanager
def on_trial(model: LocalModel) -> Iterator[None]:
    """Report an error of a trial as the model's inability to continue a text.

    Raises:
        ModelError: In place of any error except out of memory.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, ModelError) or is_out_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {error}".strip().split("\n")[0]
        raise ModelError(
            f"model {model.name}: {type(model.model).__name__} cannot continue a few tokens of "
            f"text by itself ({reason})"
        ) from error


def is_close(found: torch.Tensor, expected: torch.Tensor) -> bool:
    """Whether the highest logits agree up to rounding; those that rule tokens out do not count."""
    tolerance = _TOLERANCE[2 if _is_rounded(expected) else 4]
    found, expected = found.float(), expected.float()
    finite = expected.isfinite()
    if not finite.any() or bool((expected.isnan() | expected.isposinf()).any()):
        return True  # the engine reports such logits
    if not torch.equal(found.isfinite(), finite):
        return False
    for one, other in zip(found.flatten(0, 1), expected.flatten(0, 1), strict=True):
        best, ids = other.topk(min(_BEST, len(other)))
        values = best[best.isfinite()]
        if not len(values):
            continue
        apart = (one[ids[: len(values)]] - values).abs().mean()
        if apart > tolerance * (values[0] - values[-1] + 0.01 * values[0].abs()):
            return False
    return True


def _is_rounded(logits: torch.Tensor) -> bool:
    """Whether logits were computed in 16 bits, whatever they are kept in.

    Models may convert them to float32 at the end, as does a training in mixed precision (autocast).
    """
    kinds = (torch.bfloat16, torch.float16)
    return any(torch.equal(logits.to(kind).to(logits.dtype), logits) for kind in kinds)
