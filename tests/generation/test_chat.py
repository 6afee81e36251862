"""What a chat model sees: its own template's tokens, and the mitigation instruction."""

from __future__ import annotations

from pathlib import Path

import pytest
from transformers import AutoTokenizer

from exleak import MITIGATION, ModelError, Sampling, load_dataset, load_model, measure
from exleak.errors import SettingsError
from exleak.generation.dataset import generate_rows
from exleak.generation.local.source import LoadedSource
from exleak.prompts import prompt_text
from tests.helpers import checkpoints

PROMPTS = load_dataset("hexl", limit=2).prompts


@pytest.fixture(params=["Llama", "Qwen"])
def stand_in(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A checkpoint with a template after the manner of the family's instruct models."""
    return checkpoints.save_stand_in(tmp_path, request.param, instruct=True, seed=0)


@pytest.mark.parametrize("chat", ["auto", "always"])
def test_the_templates_own_tokens_are_sent(stand_in: Path, chat: str) -> None:
    """The ids that apply_chat_template gives, but for today's date."""
    model = load_model(stand_in, device="cpu", chat=chat)  # type: ignore[arg-type]
    tokenizer = AutoTokenizer.from_pretrained(stand_in)
    fixed = tokenizer.chat_template.replace("{{ strftime_now('%d %b %Y') }}", "26 Jul 2024")
    for prompt in PROMPTS:
        message = {"role": "user", "content": prompt.text}
        expected = tokenizer.apply_chat_template(
            [message], chat_template=fixed, add_generation_prompt=True, return_dict=False
        )
        assert model.encode(model.render(prompt.text)) == expected


def test_a_prefilled_answer_begins_with_the_control_prompt(stand_in: Path) -> None:
    """In the model's own turn, behind the prompt as it is in a chat; continuations say so."""
    chat = load_model(stand_in, device="cpu")
    model = load_model(stand_in, device="cpu", chat="prefill")
    prompt = PROMPTS[1]
    begun = model.render(prompt.text, prompt.control)
    assert begun.startswith(chat.render(prompt.text))
    assert begun.endswith(prompt.control)
    data, settings = load_dataset("hexl", limit=1), Sampling(generations=2, max_new_tokens=4)
    made, usual = (
        generate_rows(LoadedSource(model), data, settings),
        generate_rows(LoadedSource(chat), data, settings),
    )
    assert (made.identity["chat"], usual.identity["chat"]) == ("prefill", True)
    assert "prefill" in made.notes[0]
    assert not usual.notes
    assert [row.generations for row in made.rows] != [row.generations for row in usual.rows]


def test_a_prefilled_answer_needs_a_template(tmp_path: Path) -> None:
    """A base model has no turn of its own."""
    path = checkpoints.save_stand_in(tmp_path, "Llama", instruct=False, seed=0)
    with pytest.raises(ModelError, match="'prefill', but its tokenizer has no chat template"):
        load_model(path, device="cpu", chat="prefill")


@pytest.mark.parametrize("endpoint", [None, "http://127.0.0.1:9"])
def test_an_unknown_use_of_the_template_is_refused(stand_in: Path, endpoint: str | None) -> None:
    """Not taken for "never": a chat model would be measured without its template."""
    with pytest.raises(SettingsError, match=r"chat 'prefil' is unknown; use 'auto', 'always', "):
        measure(str(stand_in), chat="prefil", endpoint=endpoint)  # type: ignore[arg-type]
    with pytest.raises(SettingsError, match="chat True is unknown"):
        load_model(stand_in, chat=True)  # type: ignore[arg-type]


def test_without_the_template_the_bare_text_is_sent(stand_in: Path) -> None:
    """The ids of the tokenizer alone: with BOS for Llama, without for Qwen."""
    model = load_model(stand_in, device="cpu", chat="never")
    tokenizer = AutoTokenizer.from_pretrained(stand_in)
    for prompt in PROMPTS:
        assert model.encode(model.render(prompt.text)) == tokenizer(prompt.text)["input_ids"]


def test_the_date_is_the_same_every_day(tmp_path: Path) -> None:
    """In whatever form a template asks for it; the clock of everything else is left alone."""
    from datetime import datetime

    from transformers.utils import chat_template_utils

    path = checkpoints.save_stand_in(tmp_path, "Llama", instruct=True, seed=0)
    model = load_model(path, device="cpu")
    model.tokenizer.chat_template = (
        "{{ strftime_now('%Y-%m-%d %A') }}: {{ messages[0]['content'] }}"
    )
    assert model.render("x") == "2024-07-26 Friday: x"
    assert chat_template_utils.datetime is datetime


def test_the_mitigation_instruction_comes_first(stand_in: Path) -> None:
    """In the user's turn, before "Complete the sentence" (paper, section 4.4)."""
    model = load_model(stand_in, device="cpu")
    for prompt in PROMPTS:
        rendered = model.render(prompt_text(prompt, MITIGATION))
        opening = "<|im_start|>user\n" if "im_start" in rendered else "user<|end_header_id|>\n\n"
        assert f"{opening}{MITIGATION}. Complete the sentence: " in rendered
        assert rendered.count(MITIGATION) == 1


def test_a_template_that_opens_a_thought_is_refused(stand_in: Path) -> None:
    """The first sentence would be the thought's; without the template there is an answer."""
    model = load_model(stand_in, device="cpu")
    model.tokenizer.chat_template += "<think>\n"
    with pytest.raises(ModelError, match=r"opens a thought.*--leakage-chat never"):
        generate_rows(LoadedSource(model), load_dataset("hexl", limit=1), Sampling(generations=1))
    bare = load_model(model.model, model.tokenizer, chat="never")
    settings = Sampling(generations=1, max_new_tokens=4)
    assert generate_rows(LoadedSource(bare), load_dataset("hexl", limit=1), settings).rows
