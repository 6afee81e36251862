"""Samples of lm-evaluation-harness (``--log_samples``): one prompt a line, ``repeats`` times."""

from __future__ import annotations

from pathlib import Path

from exleak.errors import DatasetError
from exleak.logs.chat import wordings
from exleak.logs.node import Node, lines
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "lm-evaluation-harness samples (samples_*.jsonl)"


def recognises(head: Head) -> bool:
    """The fields that every sample has."""
    return head.has("doc_id", "doc", "arguments", "resps")


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read a file of samples.

    Raises:
        DatasetError: A line is damaged, is of a task without generations, or is there twice.
    """
    asked: dict[str, Asked] = {}
    filters: dict[str, set[str]] = {}
    for line in lines(head.text, path):
        doc = str(line["doc_id"].number())
        name = found.text() if (found := line.get("filter")) else ""
        # A task with several filters writes every sample once for each.
        if name in filters.setdefault(doc, set()):
            raise DatasetError(
                f"{line.where}: sample {doc} is there again, as in {asked[doc].where}: keep the "
                "samples of one run a file"
            )
        filters[doc].add(name)
        sample = _asked(line)
        if asked.setdefault(doc, sample).generations != sample.generations:
            raise DatasetError(f"{line.where}: sample {doc} differs from {asked[doc].where}")
    return Answers(tuple(asked.values()))


def _asked(line: Node) -> Asked:
    requests = _requests(line["arguments"])
    if len(requests) != 1:
        raise _no_generations(line, f"{len(requests)} requests for one document")
    prompt, settings = requests[0]
    if not isinstance(settings.value, dict):
        raise _no_generations(line, "a request without settings of generation")
    responses = line["resps"].items()
    if len(responses) != 1:
        raise line["resps"].error("one list of texts")
    id_ = line["doc"].get("id") if isinstance(line["doc"].value, dict) else None
    return Asked(
        line.where,
        wordings(_text(prompt), line.where),
        tuple(item.text() for item in responses[0].items()),
        None if id_ is None else str(id_.value),
    )


def _no_generations(line: Node, why: str) -> DatasetError:
    return DatasetError(
        f"{line.where}: {why}: this task scores given answers; a task with output_type: "
        "generate_until has generations"
    )


def _requests(arguments: Node) -> list[tuple[Node, Node]]:
    """Prompt and settings of each request, named (as since version 0.4.3) or listed."""
    if isinstance(arguments.value, dict):
        named = [arguments[key] for key in arguments.value]
        return [(request["arg_0"], request["arg_1"]) for request in named]
    listed = [request.items() for request in arguments.items()]
    for request, parts in zip(arguments.items(), listed, strict=True):
        if len(parts) < 2:
            raise request.error("a prompt and its settings")
    return [(parts[0], parts[1]) for parts in listed]


def _text(prompt: Node) -> str:
    """The prompt; a chat for a server is a list that holds its JSON."""
    if isinstance(prompt.value, list) and len(prompt.value) == 1:
        return prompt.items()[0].text()
    return prompt.text()
