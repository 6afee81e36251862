"""Chat templates: render a prompt as the user's turn, and check that the result contains it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exleak.errors import ModelError
from exleak.generation.requests import Template
from exleak.sentences.thoughts import opens_thought

#: Template variables of reasoning models that switch the thought off.
_NO_THOUGHT = {"enable_thinking": False, "thinking": False}


def rendered(
    apply: Callable[..., Any],
    text: str,
    name: str,
    begun: str | None = None,
    template: Template | None = None,
) -> str:
    """Render a prompt in a model's chat template.

    Templates that expect content as a list of parts get a list. Those that open a thought are
    rendered with thinking off, if they support that.

    Args:
        apply: The tokenizer's ``apply_chat_template``.
        text: The prompt.
        name: The model's name, for errors.
        begun: Prefilled beginning of the answer; the rendered text ends with it.
        template: System prompt and variables.

    Raises:
        ModelError: The template fails, omits the prompt or changes it.
    """
    given = template or Template()
    reason = "it leaves a part out or changes it"
    turn: dict[str, Any] = {
        **given.variables,
        "tokenize": False,
        "add_generation_prompt": begun is None,
    }
    if begun is not None:
        turn["continue_final_message"] = True
    for in_parts in (False, True):
        messages = given.messages(text, begun)
        if in_parts:
            messages = [_in_parts(message) for message in messages]
        try:
            made = str(apply(messages, **turn))
        except Exception as error:  # templates may raise anything
            said = " ".join(str(error).split()) or type(error).__name__
            reason = reason if in_parts else said
            continue
        # A list printed as a Python literal shows that the template does not support parts.
        is_read = not in_parts or "'type': 'text'" not in made
        # Some templates drop a system prompt without a word.
        is_read = is_read and (given.system or "").strip() in made
        _, found, behind = made.partition(text.strip())
        if is_read and found and behind.endswith((begun or "").strip()):
            return _without_thought(made, apply, messages, turn) if opens_thought(made) else made
    of = "one message of the user's" + (" and the beginning of an answer" if begun else "")
    of = f"a system prompt, {of}" if given.system is not None else of
    raise ModelError(
        f"model {name}: its chat template cannot be used with {of} "
        f"({reason}); mend the template, or send the bare text with --leakage-chat never"
    )


def _in_parts(message: dict[str, Any]) -> dict[str, Any]:
    return {**message, "content": [{"type": "text", "text": message["content"]}]}


def _without_thought(
    made: str, apply: Callable[..., Any], messages: list[dict[str, Any]], turn: dict[str, Any]
) -> str:
    """Render with thinking off; return ``made`` if the template has no such switch."""
    try:
        calm = str(apply(messages, **{**_NO_THOUGHT, **turn}))
    except Exception:  # templates may raise anything
        return made
    return made if opens_thought(calm) else calm
