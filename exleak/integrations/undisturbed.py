"""Measuring within a training loop without a trace: the training's next step is the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@contextmanager
def undisturbed(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Iterator[None]:
    """Restore what a measurement could change, and return its memory to the device.

    Restored are the states of the random number generators (Python, numpy, torch on every device),
    the training mode of every module, torch's number of threads, the configuration's
    ``use_cache``, and the tokenizer's padding and truncation sides.
    """
    import numpy as np
    import torch

    from exleak.generation.local.memory import release_memory
    from exleak.generation.local.model import evaluating

    python, number, threads = random.getstate(), np.random.get_state(), torch.get_num_threads()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_available() else []
    kept = [
        (owner, name, getattr(owner, name))
        for owner, name in (
            (getattr(model, "config", None), "use_cache"),
            (tokenizer, "padding_side"),
            (tokenizer, "truncation_side"),
        )
        if hasattr(owner, name)
    ]
    try:
        with torch.random.fork_rng(devices), evaluating(model):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(number)
        torch.set_num_threads(threads)
        _restore(kept)
        release_memory()


def _restore(kept: list[tuple[Any, str, Any]]) -> None:
    for owner, name, value in kept:
        if getattr(owner, name) != value:
            setattr(owner, name, value)
