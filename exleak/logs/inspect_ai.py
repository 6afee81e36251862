"""Inspect logs: ``.eval`` archives, and the same as one JSON file; epochs are generations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from exleak.errors import DatasetError
from exleak.logs.archives import Archive
from exleak.logs.chat import content, last_user, wordings
from exleak.logs.node import Node, whole
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "Inspect logs (.eval, .json)"

_HEADER, _START = "header.json", "_journal/start.json"
_ATTACHMENT = "attachment://"


def recognises(head: Head) -> bool:
    """Any zip archive, or a log's JSON."""
    return head.kind == "zip" or (head.has("eval", "status") and "version" in head.value)


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read a log.

    Raises:
        DatasetError: It is damaged, is another archive, or has no samples.
    """
    header, samples = _archive(path) if head.kind == "zip" else _log(head)
    samples.sort(key=lambda sample: sample["epoch"].number())
    if not samples:
        raise DatasetError(f"{path}: the log has no samples; log them, without --no-log-samples")
    status = header.get("status")
    ended = "started" if status is None else status.text()
    notes = () if ended == "success" else (f"the log is of a run that did not finish: {ended}",)
    asked = tuple(map(_asked, samples))
    return Answers(asked, header["eval"]["model"].text(), notes)


def _log(head: Head) -> tuple[Node, list[Node]]:
    log = whole(head.text, str(head.path))
    samples = log.get("samples")
    return log, [] if samples is None else samples.items()


def _archive(path: Path) -> tuple[Node, list[Node]]:
    with Archive(path) as archive:
        names = archive.names
        head = next((name for name in (_HEADER, _START) if name in names), None)
        if head is None:
            raise DatasetError(f"{path}: a zip archive without {_HEADER}, so not a log of Inspect")
        samples = [name for name in names if re.fullmatch(r"samples/.*\.json", name)]
        return archive.read(head), [archive.read(name) for name in samples]


def _asked(sample: Node) -> Asked:
    sample = _with_attachments(sample)
    texts: list[str] = []
    messages = sample.get("messages")
    sent = None if messages is None else last_user(messages)
    if sent is not None:
        texts += wordings(sent, sample.where)
    texts += _input(sample["input"])
    where = f"{sample.where}, {sample.name}" if sample.name else sample.where
    id_ = sample["id"].value
    return Asked(where, tuple(dict.fromkeys(texts)), tuple(_generations(sample)), str(id_))


def _input(given: Node) -> Iterator[str]:
    if isinstance(given.value, str):
        yield from wordings(given.value, given.where)
    elif (user := last_user(given)) is not None:
        yield user


def _generations(sample: Node) -> list[str | None]:
    """One a choice; a failed sample has none."""
    choices = sample["output"]["choices"].items() if sample.get("output") else []
    if sample.get("error") is not None or not choices:
        return [None]
    return [content(choice["message"]) for choice in choices]


def _with_attachments(sample: Node) -> Node:
    """A sample whose long texts are in their place again."""
    attachments = sample.get("attachments")
    if attachments is None or not attachments.value:
        return sample
    texts = {f"{_ATTACHMENT}{key}": attachments[key].text() for key in attachments.value}
    return Node(_resolved(sample.value, texts), sample.where, sample.name)


def _resolved(value: object, texts: dict[str, str]) -> object:
    if isinstance(value, str):
        return texts.get(value, value)
    if isinstance(value, list):
        return [_resolved(item, texts) for item in value]
    if isinstance(value, dict):
        return {key: _resolved(item, texts) for key, item in value.items() if key != "events"}
    return value
