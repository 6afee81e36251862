"""The texts of a chat: of its messages, and of what a chat template made of them."""

from __future__ import annotations

import json
import re

from exleak.logs.node import Node

#: The marks of chat templates, between which the turns of a conversation stand.
_MARK = re.compile(
    r"(<\|[^<>|\n]{1,40}\|>|<｜[^<>｜\n]{1,40}｜>|<(?:start|end)_of_turn>|\[/?INST\]|</?s>|<bos>)"
)
_ROLES = {
    "user": "user", "human": "user", "system": "system", "developer": "system",
    "assistant": "assistant", "model": "assistant", "bot": "assistant",
}  # fmt: skip


def content(message: Node) -> str:
    """The text of a message, whose content is a text or a list of parts; thoughts are left out."""
    found = message.get("content")
    if found is None:
        return ""
    if isinstance(found.value, str):
        return found.value
    parts = found.items()
    return "".join(part["text"].text() for part in parts if part["type"].text() == "text")


def last_user(messages: Node) -> str | None:
    """The last message of the user; ``None`` without one."""
    asked = [message for message in messages.items() if message["role"].text() == "user"]
    return content(asked[-1]) if asked else None


def wordings(text: str, where: str) -> tuple[str, ...]:
    """A prompt as it was sent, and the last user message in it if it is a chat.

    Args:
        text: A plain prompt, a chat as JSON, or a chat that a template has rendered.
        where: Its place, for errors.
    """
    if (messages := _messages(text)) is not None:
        user = last_user(Node(messages, where, "messages"))
        return (text,) if user is None else (text, user)
    turn = _last_turn(text)
    return (text,) if turn is None else (text, turn)


def _messages(text: str) -> list[object] | None:
    """The messages of a chat that is written as JSON; ``None`` for any other text."""
    if not text.lstrip().startswith("[{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    is_chat = all(isinstance(item, dict) and isinstance(item.get("role"), str) for item in value)
    return value if is_chat else None


def _last_turn(text: str) -> str | None:
    """The last turn of the user in a rendered chat; ``None`` without marks of a template."""
    pieces = _MARK.split(text)
    if len(pieces) == 1:
        return None
    role, turns = "", []
    for piece in pieces:
        name, _, rest = piece.strip().partition("\n")
        known = _ROLES.get(name.strip("<|｜>").casefold())
        if known is not None:
            role, piece = known, rest
        elif _MARK.fullmatch(piece):
            continue
        if piece.strip() and role in ("", "user"):
            turns.append(piece.strip())
    return turns[-1] if turns else None
