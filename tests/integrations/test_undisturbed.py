"""What a measurement within a training leaves behind: nothing."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from exleak.generation.local.model import LocalModel
from exleak.integrations.undisturbed import undisturbed

DRAWS: tuple[Callable[[], Any], ...] = (
    random.random,
    np.random.random,
    lambda: float(torch.rand(1)),
)


@pytest.mark.parametrize("draw", DRAWS, ids=["python", "numpy", "torch"])
def test_random_numbers_go_on_where_they_were(
    draw: Callable[[], Any], llama_model: LocalModel
) -> None:
    """Also if the model, or code that the measurement calls, draws some."""
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    expected = [draw(), draw()]
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    first = draw()
    with undisturbed(llama_model.model, llama_model.tokenizer):
        draw()
    assert [first, draw()] == expected


def test_settings_are_put_back_also_after_an_error(llama_model: LocalModel) -> None:
    """Training mode, threads, the cache and the tokenizer's sides."""
    model, tokenizer = llama_model.model, llama_model.tokenizer
    model.train()
    model.config.use_cache, tokenizer.padding_side = False, "right"
    threads = torch.get_num_threads()

    def measure() -> None:
        with undisturbed(model, tokenizer):
            assert not model.training
            model.config.use_cache, tokenizer.padding_side = True, "left"
            torch.set_num_threads(threads + 1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        measure()
    assert model.training
    assert (model.config.use_cache, tokenizer.padding_side) == (False, "right")
    assert torch.get_num_threads() == threads
