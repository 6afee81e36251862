"""How long rows may get, and up to which length they are independent."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from transformers import (
    T5Config,
    T5ForConditionalGeneration,
)

from exleak import ModelError, Sampling
from exleak.generation.local.context import independent_up_to, room
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request
from tests.helpers import checkpoints
from tests.helpers.runs import PROMPTS, run


def configured(**config: Any) -> LocalModel:
    """A model that has a configuration, and nothing else."""
    made = SimpleNamespace(**config)
    made.get_text_config = lambda decoder: made
    return LocalModel("m", SimpleNamespace(config=made), None, False)


@pytest.mark.parametrize("name", ["max_position_embeddings", "max_target_positions", "max_seq_len"])
def test_a_context_has_room_for_prompt_and_continuation(name: str) -> None:
    """Whatever its longest length is called."""
    model = configured(**{name: 20})
    assert room(model, "a", 5, 10) == 10
    assert room(model, "a", 15, 10) == 5
    with pytest.raises(ModelError, match=r"model m: a prompt of 20 tokens .* context of 20: 'a'"):
        room(model, "a", 20, 10)


def test_no_length_is_no_limit() -> None:
    """Recurrent models have none; some configurations say so by -1 or None."""
    for model in (configured(), configured(max_position_embeddings=-1, max_seq_len=None)):
        assert room(model, "a", 10**6, 10) == 10


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, None),
        ({"rope_parameters": None}, None),
        ({"rope_parameters": {"rope_type": "default"}, "sliding_window": 8}, None),
        (
            {"rope_parameters": {"rope_type": "longrope", "original_max_position_embeddings": 4}},
            4,
        ),
        (
            {"rope_parameters": {"full_attention": {"rope_type": "longrope"}},
             "original_max_position_embeddings": 6},
            6,
        ),
        (  # as transformers 4 keeps it
            {"rope_scaling": {"type": "longrope"}, "original_max_position_embeddings": 5},
            5,
        ),
        ({"attention_chunk_size": 8192, "floor_scale": 4096}, 4096),
        ({"keep_window_size": 2048}, 2048),
    ],
)  # fmt: skip
def test_rows_are_independent_up_to_where_a_configuration_turns(
    config: dict[str, Any], expected: int | None
) -> None:
    """Each architecture has its own words for it."""
    assert independent_up_to(configured(**config)) == expected


def test_rows_longer_than_that_do_not_depend_on_each_other(tmp_path: Path) -> None:
    """One long row would turn the keys of the short ones, too: they go through plain batches."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, "phi3"))
    assert independent_up_to(model) == 40
    prompts, short = ["The road", "A long, long way to the road."], Sampling(max_new_tokens=20)

    def run(size: int) -> set[Any]:
        requests = [Request(prompt, (0, 1)) for prompt in prompts]
        return set(continue_prompts(model, requests, short, batch_size=size))

    with pytest.warns(UserWarning, match="cannot be refilled"):
        assert run(1) == run(64)
    prompts[1:] = ["So it was"]
    assert len(run(64)) == 4


def test_a_prompt_longer_than_the_context_is_refused(llama: Path) -> None:
    """The message gives both lengths."""
    model = load_model(llama)
    model.model.config.max_position_embeddings = 20
    with pytest.raises(ModelError, match="context of 20"):
        run(model, PROMPTS)


def test_an_encoder_decoder_model_is_refused() -> None:
    """It would answer with anything."""
    config = T5Config(vocab_size=300, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    model = load_model(T5ForConditionalGeneration(config), checkpoints.tokenizer(), name="t5")
    with pytest.raises(ModelError, match="model t5: T5ForConditionalGeneration is an encoder-dec"):
        run(model, PROMPTS)


def test_a_context_of_a_few_tokens_is_refused(llama: Path) -> None:
    """There is nothing to try the model on."""
    model = load_model(llama)
    model.model.config.max_position_embeddings = 15
    with pytest.raises(ModelError, match="a context of 15 tokens is too short"):
        run(model, ["A"])


def test_a_model_that_gives_tuples_is_refused(llama: Path) -> None:
    """Its configuration is for other uses."""
    model = load_model(llama)
    model.model.config.return_dict = False
    with pytest.raises(ModelError, match="return_dict is off in its configuration"):
        run(model, PROMPTS)
