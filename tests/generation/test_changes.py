"""Changes of a model last as long as anybody needs them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from transformers import (
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
)

from exleak import Sampling
from exleak.generation.local.attention import attention_batched, can_be_batched
from exleak.generation.local.changes import while_needed
from exleak.generation.local.loading import load_model
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request
from tests.helpers import checkpoints


class Thing:
    """Something to change."""

    state = "own"


@while_needed
@contextmanager
def changed(thing: Thing) -> Iterator[None]:
    """Change it, and back."""
    before, thing.state = thing.state, "changed"
    try:
        yield
    finally:
        thing.state = before


def test_the_last_one_takes_it_back() -> None:
    """Whichever leaves first; and then all over again."""
    one, other = Thing(), Thing()
    for first_out in (0, 1):
        runs = [changed(one), changed(one)]
        for run in runs:
            run.__enter__()
        assert (one.state, other.state) == ("changed", "own")
        runs[first_out].__exit__(None, None, None)
        assert one.state == "changed"
        runs[1 - first_out].__exit__(None, None, None)
        assert one.state == "own"


def test_an_error_takes_it_back() -> None:
    """And comes out."""
    thing = Thing()
    with pytest.raises(KeyError), changed(thing):
        raise KeyError
    assert thing.state == "own"


def test_garbage_may_be_collected_at_any_time() -> None:
    """An abandoned run may end while another one begins, on the same thread."""
    other = Thing()
    abandoned = [changed(other)]
    abandoned[0].__enter__()

    class Littered(Thing):
        def __setattr__(self, name: str, value: str) -> None:
            abandoned.clear()
            super().__setattr__(name, value)

    with changed(Littered()):
        assert other.state == "own"


def test_models_may_share_a_configuration(tmp_path: Path) -> None:
    """A fine-tuned model and its base, made from one object."""
    plain = load_model(checkpoints.save_checkpoint(tmp_path))
    twin = load_model(type(plain.model)(plain.model.config), plain.tokenizer, chat="never")
    assert twin.model.config is plain.model.config
    requests, short = [Request("The road", (0, 1, 2))], Sampling(max_new_tokens=12)
    one, other = (continue_prompts(m, requests, short, batch_size=2) for m in (plain, twin))
    next(one), next(other)
    one.close()
    assert twin.model.config._attn_implementation == "exleak"
    assert len(list(other)) == 2
    assert plain.model.config._attn_implementation == "sdpa"


def test_a_model_and_a_wrapper_around_it(tmp_path: Path) -> None:
    """They have the same modules."""
    plain = load_model(checkpoints.save_checkpoint(tmp_path))
    wrapper = load_model(torch.compile(plain.model.train(), backend="eager"), plain.tokenizer)
    wrapper.model.train()
    requests, short = [Request("The road", (0, 1, 2))], Sampling(max_new_tokens=12)
    one, other = (continue_prompts(m, requests, short, batch_size=2) for m in (plain, wrapper))
    next(one), next(other)
    one.close()
    assert not plain.model.training
    list(other)
    assert plain.model.training
    assert wrapper.model.training


def test_two_runs_of_one_model_do_not_disturb_each_other(tmp_path: Path) -> None:
    """The first one to end leaves the model to the second one as it needs it."""
    plain = load_model(checkpoints.save_checkpoint(tmp_path))
    requests = [Request("The road", (0, 1, 2)), Request("So it was", (0, 1, 2))]
    short = Sampling(max_new_tokens=12)
    expected = set(continue_prompts(plain, requests, short))
    model = plain.model.train()
    model.config.attention_dropout = 0.5
    for layer in model.model.layers:
        layer.self_attn.attention_dropout = 0.5
    first, second = (continue_prompts(plain, requests, short, batch_size=2) for _ in range(2))
    found = {next(first), next(second)}
    first.close()
    assert not model.training
    assert model.config._attn_implementation == "exleak"
    assert can_be_batched(model)
    found |= set(second)
    assert found == expected
    assert model.training
    assert model.config._attn_implementation == "sdpa"


def test_a_models_other_parts_keep_their_attention() -> None:
    """What looks at pictures may have been given one of its own."""
    vision = CLIPVisionConfig(
        hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
        image_size=8, patch_size=4,
    )  # fmt: skip
    config = LlavaConfig(text_config=checkpoints.CONFIGS["llama"], vision_config=vision)
    model = LlavaForConditionalGeneration(config)
    config.vision_config._attn_implementation = "eager"
    parts = (config, config.text_config, config.vision_config)
    before = [part._attn_implementation for part in parts]
    assert can_be_batched(model)
    with attention_batched(model):
        during = [part._attn_implementation for part in parts]
    assert during == [before[0], "exleak", "eager"]
    assert [part._attn_implementation for part in parts] == before
    ids = torch.tensor([[5, 6, 7]])
    own = model(input_ids=ids).logits
    with attention_batched(model):
        torch.testing.assert_close(model(input_ids=ids).logits, own)
