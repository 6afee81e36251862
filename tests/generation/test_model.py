"""A loaded model: its prompts in tokens, its tokens in text."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from exleak import ModelError
from exleak.generation.local.loading import load_model
from tests.helpers import checkpoints
from tests.helpers.runs import answer, run


@pytest.mark.parametrize(
    "make", [checkpoints.tokenizer, lambda: checkpoints.family_tokenizer("Llama", instruct=True)]
)
def test_texts_are_those_of_the_tokenizer(make: Callable[[], Any], llama: Path) -> None:
    """Decoding passes by the tokenizer's own checks, which cost more than the decoding."""
    tokenizer = make()
    model = load_model(load_model(llama).model, tokenizer, chat="never")
    torch.manual_seed(0)
    for tokens in torch.randint(0, 300, (50, 12)).tolist():
        assert model.decode(tokens) == answer(tokenizer, tokens)


def test_a_tokenizer_of_its_own_way_is_asked(llama: Path) -> None:
    """One that decodes differently has the last word."""

    class Loud(type(checkpoints.tokenizer())):  # type: ignore[misc]
        def _decode(self, *arguments: Any, **named: Any) -> str:
            return str(super()._decode(*arguments, **named)).upper()

    tokenizer = Loud(tokenizer_object=checkpoints.tokenizer().backend_tokenizer)
    model = load_model(load_model(llama).model, tokenizer, chat="never")
    assert model.decode(model.encode("so it goes")) == "SO IT GOES"


def test_bos_stands_once(llama: Path) -> None:
    """A prompt that begins with BOS does not get a second one."""
    model = load_model(llama)
    assert model.encode("<s>Hi").count(256) == 1


@pytest.mark.parametrize("chat", ["auto", "always"])
def test_chat_gives_the_templates_own_tokens(chat: str, tmp_path: Path) -> None:
    """The ids are those of apply_chat_template."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, chat=True), chat=chat)  # type: ignore[arg-type]
    expected = model.tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_dict=False
    )
    assert model.encode(model.render("Hello")) == expected


def test_chat_never_sends_the_bare_text(tmp_path: Path) -> None:
    """The template is there but not used."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, chat=True), chat="never")
    assert model.render("Hello") == "Hello"


def test_chat_always_needs_a_template(llama: Path) -> None:
    """Asking for a template that is not there is an error."""
    with pytest.raises(ModelError, match="no chat template"):
        load_model(llama, chat="always")


def test_a_token_without_an_embedding_is_told(llama: Path) -> None:
    """Somebody added tokens and did not resize the model."""
    loaded = load_model(llama)
    tokenizer = checkpoints.tokenizer()
    tokenizer.add_tokens(["<new>"])
    model = load_model(loaded.model, tokenizer, name="m", chat="never")
    with pytest.raises(ModelError, match="gives token 300, but the model has 300 embeddings"):
        run(model, ["a <new> road"])
