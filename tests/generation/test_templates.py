"""Chat templates that cannot be used say so, before anything is measured."""

from __future__ import annotations

import pytest

from exleak import ModelError
from exleak.generation.local.model import LocalModel
from exleak.generation.local.templates import rendered
from exleak.generation.requests import ChatUse, Template
from tests.helpers import checkpoints

TURNS = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}</{{ m['role'] }}>{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def render(
    template: str | dict[str, str], begun: str | None = None, given: Template | None = None
) -> str:
    """A prompt in a template."""
    tokenizer = checkpoints.tokenizer()
    tokenizer.chat_template = template
    use: ChatUse = True if begun is None else "prefill"
    model = LocalModel("m", None, tokenizer, use, template=given or Template())
    return model.render("It rained. The soup is", begun)


def test_a_prefilled_answer_is_left_open() -> None:
    """The text ends with the control prompt, in the assistant's turn."""
    assert render(TURNS) == "<user>It rained. The soup is</user><assistant>"
    asked = "<user>It rained. The soup is</user><assistant>"
    assert render(TURNS, "The soup is") == asked + "The soup is"


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0]['content'] }}",
        TURNS.replace("m['content']", "m['content'] | upper"),
        TURNS.replace("{% for m in messages %}", "{% for m in messages[:1] %}"),
    ],
)
def test_a_template_that_loses_the_begun_answer_is_refused(template: str) -> None:
    """It would be a new turn, or another text."""
    with pytest.raises(ModelError, match="and the beginning of an answer"):
        render(template, "The soup is")


@pytest.mark.parametrize(
    "template",
    [
        "{{ raise_exception('needs a system message') }}",
        "<user>",
        "{{ messages[0]['content'] | upper }}",
    ],
)
def test_a_template_that_loses_the_prompt_is_refused(template: str) -> None:
    """With the model's name and the way out."""
    with pytest.raises(ModelError, match=r"model m: its chat template .*--leakage-chat never"):
        render(template)


def test_the_prompts_own_end_is_no_begun_answer() -> None:
    """A template that leaves the answer out, cut where the prompt says the same."""
    with pytest.raises(ModelError, match="leaves a part out"):
        rendered(lambda *_, **__: "<user>It rained. The soup is", "It rained. The soup is", "m",
                 "The soup is")  # fmt: skip


def test_the_templates_own_reason_is_told() -> None:
    """It says what is missing."""
    with pytest.raises(ModelError, match="needs a system message"):
        render("{{ raise_exception('needs a system message') }}")


def test_content_as_a_list_of_parts_is_sent_where_it_is_read() -> None:
    """Templates of multimodal models loop over parts."""
    parts = "{% for part in messages[0]['content'] %}{{ part['text'] }}{% endfor %}!"
    assert render(parts) == "It rained. The soup is!"


def test_named_templates_without_a_default_are_refused() -> None:
    """None of them is meant for a plain prompt."""
    with pytest.raises(ModelError, match=r"model m: its chat template .*default"):
        render({"tool_use": "{{ messages[0]['content'] }}", "rag": "x"})
    assert (
        render({"default": "<{{ messages[0]['content'] }}>", "rag": "x"})
        == "<It rained. The soup is>"
    )


@pytest.mark.parametrize("switch", ["enable_thinking", "thinking"])
def test_thinking_is_switched_off_where_the_template_can(switch: str) -> None:
    """Where it is on by default; other templates are used as they are."""
    template = (
        "{{ messages[0]['content'] }}<assistant><think>\n{% if SWITCH is defined and not SWITCH %}"
        "</think>!{% endif %}"
    )
    made = render(template.replace("SWITCH", switch))
    assert made == "It rained. The soup is<assistant><think>\n</think>!"
    shut = "{{ messages[0]['content'] }}{% if enable_thinking is defined %}!{% endif %}"
    assert render(shut) == "It rained. The soup is"


def test_a_system_prompt_and_variables_are_given_to_the_template() -> None:
    """The prompt stays the user's turn."""
    found = render(TURNS + "{{ tone }}", given=Template("Be calm.", {"tone": "plain"}))
    assert found == "<system>Be calm.</system><user>It rained. The soup is</user><assistant>plain"


@pytest.mark.parametrize(
    "template",
    [
        TURNS.replace("{% for m in messages %}", "{% for m in messages if m['role'] == 'user' %}"),
        "{{ raise_exception('no system role here') if messages[0]['role'] == 'system' }}",
    ],
)
def test_a_template_that_loses_the_system_prompt_is_refused(template: str) -> None:
    """Some drop it without a word, some raise."""
    with pytest.raises(ModelError, match="a system prompt, one message"):
        render(template, given=Template("Be calm."))


def test_thinking_that_is_asked_for_is_not_switched_off() -> None:
    """The variable of the user goes before ours; without it thinking is off."""
    template = (
        TURNS + "{% if enable_thinking is not defined or enable_thinking %}<think>{% endif %}"
    )
    assert not render(template).endswith("<think>")
    asked = Template(None, {"enable_thinking": True, "thinking": True})
    assert render(template, given=asked).endswith("<think>")
