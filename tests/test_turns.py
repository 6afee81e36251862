"""Where answers end: special tokens behind content, here and from servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import ByT5Tokenizer

from exleak.generation.checkpoint import LocalModel
from exleak.generation.server import _texts
from tests import tiny


def model(tokenizer: Any) -> LocalModel:
    """The text half of a model."""
    return LocalModel("m", None, tokenizer, False)  # type: ignore[arg-type]


def ids(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text in which special tokens are spelled out."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Painting tulips<|im_end|>assistant", "Painting tulips"),
        ("Painting tulips<|im_start|>user\nHi", "Painting tulips"),
        ("<|im_start|>assistant\nPainting<|im_end|>x", "Painting"),
        ("\n<|im_end|>Painting", "\nPainting"),
    ],
)
def test_a_special_token_behind_content_ends_the_answer(text: str, answer: str) -> None:
    """Before content it is a header, and ends nothing."""
    tokenizer = tiny.family_tokenizer("Qwen", instruct=False)
    assert model(tokenizer).decode(ids(tokenizer, text)) == answer


def test_thought_tags_that_are_special_stay() -> None:
    """They are cut as text, where the thought between them can be seen."""
    tokenizer = tiny.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    text = "<think>a</think>b"
    assert model(tokenizer).decode(ids(tokenizer, text)) == text


def test_a_tokenizer_that_appends_eos_is_not_obeyed() -> None:
    """The prompt goes on; BOS stays."""
    tokenizer = tiny.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 256), ("</s>", 257)]
    )
    loaded = LocalModel("m", tiny.Wrapper(None), tokenizer, False)  # type: ignore[arg-type]
    vars(loaded)["_vocabulary"] = None
    assert loaded.encode("Hi") == [256, *ids(tokenizer, "Hi")]
    assert loaded.encode("Hi</s>")[-1] == 257


def test_tokens_that_the_tokenizer_does_not_know_decode_to_nothing() -> None:
    """Models have more embeddings than ByT5's tokenizer has tokens."""
    tokenizer = ByT5Tokenizer()
    assert model(tokenizer).decode([*ids(tokenizer, "ab"), 5000]) == "ab"


@pytest.mark.parametrize("marker", ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>"])
def test_served_texts_end_with_their_turn(marker: str) -> None:
    """Where the server left the marker in."""
    assert _texts({"choices": [{"text": f"Tulips.{marker}user"}]}, False) == ["Tulips."]


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_all_routes_end_where_the_turn_does(architecture: str, tmp_path: Path) -> None:
    """What is made in one batch and one by one is the same, and nothing follows the token."""
    from exleak import Sampling
    from exleak.generation.checkpoint import load_model
    from exleak.generation.local import Counts, Request, continue_prompts

    loaded = load_model(tiny.save_checkpoint(tmp_path, architecture))
    letters = [ids(loaded.tokenizer, letter)[0] for letter in "abcdexyzABC"]
    vars(loaded.turns)["ends"] = frozenset(letters)
    found = []
    for size in (1, 64):
        counts = Counts()
        requests = [Request(text, (0, 1, 2)) for text in ("One", "The road")]
        made = continue_prompts(
            loaded, requests, Sampling(max_new_tokens=24), batch_size=size, counts=counts
        )
        found.append({(item.request, item.index): item.text for item in made})
    assert found[0] == found[1]
    assert any(len(text) < 12 for text in found[0].values())
