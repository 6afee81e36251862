"""Results of promptfoo (``promptfoo eval -o FILE.json`` or ``.jsonl``); repeats are generations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from exleak.logs.chat import wordings
from exleak.logs.node import Node, lines, only, whole
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "promptfoo results (.json, .jsonl)"


def recognises(head: Head) -> bool:
    """A file of results, or one result a line."""
    return head.has("testIdx", "promptIdx") or _is_whole(head)


def _is_whole(head: Head) -> bool:
    results = head.value.get("results")
    return isinstance(results, dict) and "results" in results


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read results.

    Raises:
        DatasetError: It is damaged, or holds the results of several providers.
    """
    results = list(_results(head) if _is_whole(head) else lines(head.text, path))
    providers = [_provider(result) for result in results]
    return Answers(tuple(map(_asked, results)), only(providers, "provider", path))


def _results(head: Head) -> Iterator[Node]:
    yield from whole(head.text, str(head.path))["results"]["results"].items()


def _provider(result: Node) -> str:
    provider = result["provider"]
    if isinstance(provider.value, str):
        return provider.value
    label = provider.get("label")
    return provider["id"].text() if label is None or not label.value else label.text()


def _asked(result: Node) -> Asked:
    where = f"{result.where}, {result.name}" if result.name else result.where
    prompt = result["prompt"]
    text = prompt.text() if isinstance(prompt.value, str) else prompt["raw"].text()
    response = result.get("response")
    output = None if response is None else response.get("output")
    return Asked(where, wordings(text, where), (None if output is None else output.text(),))
