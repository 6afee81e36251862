"""The engine: the same continuations at any batch size, equal to transformers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerFast,
)

import exleak
from exleak import ModelError, Sampling
from exleak.generation.local.engine import _Note, _Notes
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Counts, Request
from tests.helpers import checkpoints
from tests.helpers.runs import PROMPTS, SHORT, answer, run

#: Grouped heads, learned and rotary positions, sliding and local windows, softcaps, ALiBi.
ARCHITECTURES = [
    "llama", "qwen2", "gpt2", "gpt_neox", "gptj", "gpt_neo", "mistral", "gemma2", "falcon",
    "falcon_rotary",
]  # fmt: skip


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_rows_are_independent_of_their_batch(architecture: str, tmp_path: Path) -> None:
    """Batch size and order of prompts change nothing."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    expected = run(model, PROMPTS)
    assert len(expected) == len(PROMPTS) * SHORT.generations
    for size in (1, 5, 640):
        assert run(model, PROMPTS[::-1], batch_size=size) == expected


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_greedy_sampling_equals_generate(architecture: str, tmp_path: Path) -> None:
    """With one candidate left, the engine's tokens are those of transformers' generate."""
    path = checkpoints.save_checkpoint(tmp_path, architecture)
    model, tokenizer = (
        AutoModelForCausalLM.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
    )
    greedy = Sampling(generations=1, top_k=1, max_new_tokens=24)
    found = exleak.generate(path, PROMPTS, greedy)
    for prompt, (text,) in zip(PROMPTS, found, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        output = model.generate(
            ids["input_ids"],
            attention_mask=ids["attention_mask"],
            do_sample=False,
            repetition_penalty=1.1,
            max_new_tokens=24,
            pad_token_id=258,
        )
        new = output[0, ids["input_ids"].shape[1] :]
        assert text == answer(tokenizer, new.tolist())


def test_early_retirement_keeps_the_first_sentence(llama: Path) -> None:
    """Retired continuations begin full ones, and waste no tokens."""
    model = load_model(llama)
    full = run(model, PROMPTS)

    def stops(text: str) -> bool:
        return "e" in text

    short = run(model, PROMPTS, is_complete=lambda text: "." in text and stops(text))
    assert all(full[key].startswith(text) for key, text in short.items())


def test_generations_grow_without_changing(llama: Path) -> None:
    """More generations per prompt keep the first ones."""
    model = load_model(llama)
    few = run(model, PROMPTS[:2])
    many = run(model, PROMPTS[:2], Sampling(generations=6, max_new_tokens=24))
    assert {key: many[key] for key in few} == few


def test_the_seed_changes_the_continuations(llama: Path) -> None:
    """Two seeds give different texts, one seed the same."""
    first = exleak.generate(llama, PROMPTS, SHORT)
    assert exleak.generate(llama, PROMPTS, SHORT) == first
    assert exleak.generate(llama, PROMPTS, Sampling(3, seed=1, max_new_tokens=24)) != first


def test_refilled_slots_see_only_their_own_prompt(llama: Path) -> None:
    """With two slots for twelve rows, every slot is reused; nothing leaks from row to row."""
    model = load_model(llama)
    counts = Counts()
    requests = [Request(prompt, (0, 1, 2)) for prompt in PROMPTS]
    list(continue_prompts(model, requests, SHORT, batch_size=2, counts=counts))
    assert counts.prefilled == sum(len(model.encode(prompt)) for prompt in PROMPTS)
    assert counts.steps < counts.computed <= 2 * counts.steps
    assert run(model, PROMPTS, batch_size=2) == run(model, PROMPTS, batch_size=640)


def test_most_tokens_need_no_look_at_the_text(tmp_path: Path) -> None:
    """A sentence is looked at behind what may have ended it, and not at each token."""
    model = load_model(checkpoints.save_stand_in(tmp_path, "Llama", instruct=False, seed=0))
    asked: list[str] = []

    def note(text: str) -> bool:
        asked.append(text)
        return True

    found = run(model, PROMPTS, is_complete=note)
    assert sum(text.count(" ") for text in found.values()) > 2 * len(asked)
    assert asked
    assert not any(text.endswith(".") for text in asked)


def test_a_space_is_nothing_to_note() -> None:
    """Decoders that put a space before each word drop the first one, and with it this token."""
    base = Tokenizer(models.BPE(vocab={"▁": 0, "a": 1, ".": 2, "▁a.": 3}, merges=[]))
    base.decoder = decoders.Metaspace()
    model = LocalModel("m", None, PreTrainedTokenizerFast(tokenizer_object=base), False)
    assert model.decode([0]) == ""
    notes = _Notes(model, frozenset())
    assert [notes[token] for token in range(4)] == [None, None, _Note.NEXT, _Note.NEXT]


def test_nan_logits_are_refused(tmp_path: Path) -> None:
    """Broken weights give one error that names the model."""
    path = checkpoints.save_checkpoint(tmp_path)
    model = AutoModelForCausalLM.from_pretrained(path)
    with torch.no_grad():
        model.get_input_embeddings().weight.fill_(float("nan"))
    model.save_pretrained(path)
    with pytest.raises(ModelError, match="logits are NaN or infinite"):
        exleak.generate(path, PROMPTS, SHORT)


@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.parametrize("ids", [None, -1, 50256, (257, 12), [257, None]])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_stop_tokens_come_in_all_forms(ids: Any, architecture: str, tmp_path: Path) -> None:
    """Some are none of the vocabulary's; a configuration may be missing altogether."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    model.model.generation_config.eos_token_id = ids
    found = run(model, PROMPTS, is_complete=lambda text: "e" in text)
    assert found == run(model, PROMPTS, is_complete=lambda text: "e" in text, batch_size=1)
    if ids is None:
        model.model.generation_config = None
        assert run(model, PROMPTS, is_complete=lambda text: "e" in text) == found


def test_stop_tokens_that_are_no_ids_are_told(llama: Path) -> None:
    """With what stands there."""
    model = load_model(llama)
    model.model.generation_config.eos_token_id = "x"
    with pytest.raises(ModelError, match="eos_token_id of its generation config is 'x'"):
        run(model, PROMPTS)
