"""Where answers end: special tokens behind content, here and from servers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tokenizers import processors
from transformers import ByT5Tokenizer

from exleak import Sampling
from exleak.generation.endpoint.server import _texts
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Counts, Request
from exleak.generation.turns import cut_turn
from exleak.sentences.answers import FirstSentence
from tests.helpers import checkpoints


def model(tokenizer: Any) -> LocalModel:
    """The text half of a model."""
    return LocalModel("m", None, tokenizer, False)


def ids(tokenizer: Any, text: str) -> list[int]:
    """Tokens of a text in which special tokens are spelled out."""
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Painting", "Painting"),
        ("Painting tulips<|im_end|>assistant", "Painting tulips"),
        ("Painting tulips<|im_start|>user\nHi", "Painting tulips"),
        ("<|im_start|>assistant\nPainting<|im_end|>x", "Painting"),
        ("\n<|im_end|>Painting", "\nPainting"),
    ],
)
def test_a_special_token_behind_content_ends_the_answer(text: str, answer: str) -> None:
    """Before content it is a header, and ends nothing."""
    tokenizer = checkpoints.family_tokenizer("Qwen", instruct=False)
    assert model(tokenizer).decode(ids(tokenizer, text)) == answer


@pytest.mark.parametrize(
    "text",
    [
        "<|start_header_id|>assistant<|end_header_id|>\n\nPainting<|eot_id|>x",
        "Painting<|start_header_id|>user<|end_header_id|>\n\nHi",
        "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nPainting<|begin_of_text|>x",
    ],
)
def test_headers_of_roles_are_no_content(text: str) -> None:
    """Llama writes the role between two special tokens."""
    tokenizer = checkpoints.family_tokenizer("Llama", instruct=True)
    assert model(tokenizer).decode(ids(tokenizer, text)).lstrip() == "Painting"


HARMONY = ["start", "end", "message", "channel", "constrain", "return", "call"]


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (
            "<|channel|>analysis<|message|>I am so sad.<|end|><|start|>assistant<|channel|>final"
            "<|message|>Painting tulips.<|return|>Sad.",
            "Painting tulips.",
        ),
        ("<|channel|>final<|message|>Painting<|end|><|start|>user<|message|>Sad.", "Painting"),
        ("<|channel|>final <|constrain|>text<|message|>Painting<|return|>Sad.", "Painting"),
        ("<|start|>assistant<|channel|>final<|message|>Painting<|call|>Sad.", "Painting"),
        ("<|start|>assistant<|message|>Painting<|end|>Sad.", "Painting"),
        ("<|message|>Painting<|start|>user", "Painting"),
        ("Painting<|channel|>analysis<|message|>Sad.", "Painting"),
        ("<|channel|>analysis<|message|>I am so sad.<|end|><|start|>assistant", ""),
        ("<|channel|>analysis<|message|>I am so sad.", ""),
    ],
)
def test_channels_are_no_content(text: str, answer: str) -> None:
    """gpt-oss answers in the final channel; served texts that kept their marks are cut alike."""
    tokenizer = checkpoints.tokenizer()
    names = [f"<|{name}|>" for name in HARMONY]
    tokenizer.add_special_tokens({"additional_special_tokens": names})
    first = FirstSentence(prompt="Her passion is")
    assert first.of(model(tokenizer).decode(ids(tokenizer, text))) == answer
    assert first.of(cut_turn(text.replace("<|call|>", "<|end|>"))) == answer


def test_a_thought_without_an_end_goes_no_further_than_its_turn() -> None:
    """What comes behind it is no answer to the prompt."""
    tokenizer = checkpoints.family_tokenizer("Qwen", instruct=False)
    text = "<think>Hm<|im_end|>user</think>Painting"
    assert model(tokenizer).decode(ids(tokenizer, text)) == cut_turn(text) == "<think>Hm"


def test_thought_tags_that_are_special_stay() -> None:
    """They are cut as text, where the thought between them can be seen."""
    tokenizer = checkpoints.tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<think>", "</think>"]})
    for text in ("<think>a</think>b", "a</think>b"):
        assert model(tokenizer).decode(ids(tokenizer, text)) == text
    assert model(tokenizer).decode(ids(tokenizer, "b<think>a</think>c")) == "b"


def test_a_tokenizer_that_appends_eos_is_not_obeyed() -> None:
    """The prompt goes on; BOS stays."""
    tokenizer = checkpoints.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 256), ("</s>", 257)]
    )
    loaded = LocalModel("m", checkpoints.Wrapper(None), tokenizer, False)
    vars(loaded)["_vocabulary"] = None
    assert loaded.encode("Hi") == [256, *ids(tokenizer, "Hi")]
    assert loaded.encode("Hi</s>")[-1] == 257


@pytest.mark.parametrize("chat", [False, True])
def test_no_prompt_begins_with_two_bos(chat: bool) -> None:
    """Whether the tokenizer adds one too many or the template writes one."""
    tokenizer = checkpoints.tokenizer()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> <s> $A", special_tokens=[("<s>", 256)]
    )
    tokenizer.chat_template = "{{ bos_token }}{{ bos_token }}{{ messages[0]['content'] }}"
    loaded = LocalModel("m", checkpoints.Wrapper(None), tokenizer, chat)
    vars(loaded)["_vocabulary"] = None
    assert loaded.encode(loaded.render("Hi")) == [256, *ids(tokenizer, "Hi")]


def test_tokens_that_the_tokenizer_does_not_know_decode_to_nothing() -> None:
    """Models have more embeddings than ByT5's tokenizer has tokens."""
    tokenizer = ByT5Tokenizer()
    assert model(tokenizer).decode([*ids(tokenizer, "ab"), 5000]) == "ab"


def test_embeddings_beyond_the_vocabulary_decode_to_nothing() -> None:
    """Fast tokenizers drop what is padding of the embeddings, between what they know."""
    tokenizer = checkpoints.tokenizer()
    assert model(tokenizer).decode([*ids(tokenizer, "a"), 5000, *ids(tokenizer, "b")]) == "ab"


@pytest.mark.parametrize("marker", ["<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>"])
def test_served_texts_end_with_their_turn(marker: str) -> None:
    """Where the server left the marker in."""
    assert _texts({"choices": [{"text": f"Tulips.{marker}user"}]}, False) == ["Tulips."]


def cut(text: str, ends: set[str]) -> str:
    """A text up to the first of these characters behind content, without those before it."""
    kept = ""
    for character in text:
        if character not in ends:
            kept += character
        elif kept.strip():
            break
    return kept


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_all_routes_end_where_the_turn_does(architecture: str, tmp_path: Path) -> None:
    """Rows are cut at the token, alone and in batches, and no step is made behind it."""
    loaded = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    requests = [Request(text, (0, 1, 2, 3)) for text in ("One", "The road")]

    def texts(size: int) -> tuple[list[str], int]:
        counts = Counts()
        settings = Sampling(max_new_tokens=24)
        made = continue_prompts(loaded, requests, settings, batch_size=size, counts=counts)
        found = sorted(made, key=lambda item: (item.request, item.index))
        return [item.text for item in found], counts.useful

    free, steps = texts(64)
    ends = set(map(chr, range(33, 127))) - set("<unused0123456789>")
    more = {ids(loaded.tokenizer, end)[0] for end in ends} | loaded.turns.ends
    del vars(loaded)["turns"]
    vars(loaded.turns)["ends"] = frozenset(more)
    alone, steps_alone = texts(1)
    batched, steps_batched = texts(64)
    assert alone == batched
    assert batched == [cut(text, ends) for text in free]
    assert steps_alone == steps_batched < steps / 2


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Tulips.</s>", "Tulips."),
        ("Tulips.</s>\nuser", "Tulips."),
        ("Tulips.</s> assistant: Hi", "Tulips."),
        ("Tulips.</s><s>[INST] Hi", "Tulips."),
        ("Not <s>roses</s> but tulips.", "Not <s>roses</s> but tulips."),
        ("<|im_start|>assistant\nTulips.<|im_end|>", "Tulips."),
        ("<|start_header_id|>assistant<|end_header_id|>\n\nTulips.<|eot_id|>", "Tulips."),
        ("<|assistant|>\nTulips.<|user|>", "Tulips."),
        ("model trains, a user said", "model trains, a user said"),
        ("Tulips.assistant\n\nSure! Tulips", "Tulips."),
        ("painting tulipsassistant\n\nSure!", "painting tulips"),
        ("painting tulips.user\nThanks", "painting tulips."),
        ("She is a teaching assistant\nat a school.", "She is a teaching assistant\nat a school."),
        ("The superuser\nlogs in.", "The superuser\nlogs in."),
    ],
)
def test_a_marker_in_a_served_text_is_told_from_a_text(text: str, answer: str) -> None:
    """What HTML strikes out is text; a header before the answer is none."""
    assert cut_turn(text) == answer
