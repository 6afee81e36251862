"""Formats of a server's answer: content in parts, thoughts, refusals, errors with status 200."""

from __future__ import annotations

from typing import Any

from exleak.generation.endpoint.transport import AnswerError

#: Fields for the thoughts of reasoning models, which are not part of the answer.
_THOUGHTS = ("reasoning_content", "reasoning")
#: Finish reason, in :func:`ends_of`, of a continuation that is only thoughts.
THOUGHTS = "thoughts"


def plain(content: Any, message: Any) -> Any:
    """Content as one text.

    Args:
        content: A text, a list of parts, or ``None`` if a model wrote nothing or only thoughts.
        message: The enclosing message; without content, its refusal is the text.

    Returns:
        The text; the unchanged content if its format is unknown.
    """
    if content is None:
        refusal = message.get("refusal") if isinstance(message, dict) else None
        return refusal if isinstance(refusal, str) else ""
    if isinstance(content, list) and all(isinstance(part, (str, dict)) for part in content):
        texts = [part if isinstance(part, str) else _part(part) for part in content]
        return "".join(texts) if all(isinstance(text, str) for text in texts) else content
    return content


def _part(part: dict[str, Any]) -> Any:
    """Text of a part; parts of other kinds, such as thoughts, have none."""
    return part.get("text") if part.get("type", "text") in ("text", "output_text") else ""


def thoughts_of(answer: dict[str, Any]) -> list[str]:
    """Thoughts of each choice; empty unless the server separates them from the answer."""
    found = []
    for choice in answer["choices"]:
        message = choice.get("message")
        message = message if isinstance(message, dict) else {}
        texts = (message.get(name) for name in _THOUGHTS)
        found.append(next((text for text in texts if isinstance(text, str)), ""))
    return found


def ends_of(answer: dict[str, Any]) -> list[str]:
    """Finish reason of each choice; :data:`THOUGHTS` if it ended before any content."""
    reasons = []
    for choice, thoughts in zip(answer["choices"], thoughts_of(answer), strict=True):
        message = choice.get("message")
        empty = isinstance(message, dict) and not message.get("content")
        reason = choice.get("finish_reason")
        spent = empty and (thoughts or reason == "length")
        reasons.append(THOUGHTS if spent else str(reason))
    return reasons


def error_in(answer: Any) -> AnswerError | None:
    """The error in an answer, if any; gateways send errors with status 200."""
    if not isinstance(answer, dict):
        return None
    choices = answer.get("choices")
    places = [answer, *(choices if isinstance(choices, list) else ())]
    for place in places:
        error = place.get("error") if isinstance(place, dict) else None
        if error:
            code = error.get("code") if isinstance(error, dict) else None
            said = error.get("message", error) if isinstance(error, dict) else error
            status = code if isinstance(code, int) and 400 <= code < 600 else 0
            return AnswerError(f"the server reports an error: {said}", status)
        if isinstance(place, dict) and place.get("finish_reason") == "error":
            return AnswerError("the server reports an error: the continuation ended in one")
    return None
