"""Chat templates: a prompt as the user's turn, and a check that it is in what they write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from exleak.errors import ModelError
from exleak.thoughts import opens_thought

#: What templates of models that think ask, to leave the thought out.
_NO_THOUGHT = {"enable_thinking": False, "thinking": False}


def rendered(apply: Callable[..., Any], text: str, name: str) -> str:
    """The prompt in a model's chat template.

    Templates that read content as a list of parts get it as one. Those that open a thought are
    asked not to.

    Args:
        apply: The tokenizer's ``apply_chat_template``.
        text: The prompt.
        name: The model, for errors.

    Raises:
        ModelError: The template fails, or leaves the prompt out or changes it.
    """
    reason = "it leaves the prompt out or changes it"
    for content in (text, [{"type": "text", "text": text}]):
        messages = [{"role": "user", "content": content}]
        try:
            made = str(apply(messages, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # templates raise whatever they like
            said = " ".join(str(error).split()) or type(error).__name__
            reason = said if content is text else reason
            continue
        # A template that shows a list as Python writes it has not read it.
        if text.strip() in made and (content is text or "'type': 'text'" not in made):
            return _without_thought(made, apply, messages) if opens_thought(made) else made
    raise ModelError(
        f"model {name}: its chat template cannot be used with one message of the user's "
        f"({reason}); mend the template, or send the bare text with --leakage-chat never"
    )


def _without_thought(made: str, apply: Callable[..., Any], messages: list[dict[str, Any]]) -> str:
    """What the template writes with thinking off; as it was made where it knows no such switch."""
    try:
        calm = str(apply(messages, tokenize=False, add_generation_prompt=True, **_NO_THOUGHT))
    except Exception:  # templates raise whatever they like
        return made
    return made if opens_thought(calm) else calm
