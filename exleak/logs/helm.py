"""HELM's ``scenario_state.json``: the completions of a request are generations."""

from __future__ import annotations

from pathlib import Path

from exleak.logs.chat import last_user, wordings
from exleak.logs.node import Node, whole
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "HELM's scenario_state.json"


def recognises(head: Head) -> bool:
    """Its two parts."""
    return head.has("adapter_spec", "request_states")


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read a scenario's state.

    Raises:
        DatasetError: It is damaged, or its requests have not been executed.
    """
    state = whole(head.text, str(path))
    model = state["adapter_spec"].get("model")
    asked = tuple(map(_asked, state["request_states"].items()))
    return Answers(asked, "" if model is None else model.text())


def _asked(state: Node) -> Asked:
    request, instance = state["request"], state["instance"]
    texts = list(wordings(request["prompt"].text(), state.where))
    messages = request.get("messages")
    if messages is not None and (user := last_user(messages)) is not None:
        texts.append(user)
    texts.append(instance["input"]["text"].text())
    result = state.get("result")
    answered = result is not None and result["success"].value is True
    generations: tuple[str | None, ...] = (None,)
    if result is not None and answered:
        generations = tuple(item["text"].text() for item in result["completions"].items())
    id_ = instance.get("id")
    return Asked(
        f"{state.where}, {state.name}",
        tuple(dict.fromkeys(text for text in texts if text)),
        generations,
        None if id_ is None else str(id_.value),
    )
