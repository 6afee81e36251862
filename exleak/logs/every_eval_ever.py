"""Instance files of Every Eval Ever (schema ``instance_level_eval``): one sample a line."""

from __future__ import annotations

from pathlib import Path

from exleak.errors import DatasetError
from exleak.logs.chat import wordings
from exleak.logs.node import Node, lines, only
from exleak.logs.records import Answers, Asked, Columns, Head

NAME = "instance files of Every Eval Ever (.jsonl)"


def recognises(head: Head) -> bool:
    """The fields that its schema requires."""
    return head.has("schema_version", "evaluation_id", "sample_id", "interaction_type", "input")


def read(path: Path, head: Head, columns: Columns) -> Answers:
    """Read an instance file.

    Raises:
        DatasetError: A line is damaged or is a conversation of several turns, or the file holds
            several evaluations or models.
    """
    rows = list(lines(head.text, path))
    for name, what in (("evaluation_id", "evaluation"), ("evaluation_name", "evaluation name")):
        only((row[name].text() for row in rows), what, path)
    return Answers(
        tuple(map(_asked, rows)), only((row["model_id"].text() for row in rows), "model", path)
    )


def _asked(row: Node) -> Asked:
    kind = row["interaction_type"].text()
    if kind != "single_turn":
        raise DatasetError(
            f"{row.where}: an interaction of type {kind!r}; only single_turn has generations of a "
            "prompt"
        )
    raw, formatted = row["input"]["raw"].text(), row["input"].get("formatted")
    sent = () if formatted is None else wordings(formatted.text(), row.where)
    output = row.get("output")
    failed = output is None or row.get("error") is not None
    return Asked(
        row.where,
        tuple(dict.fromkeys((*sent, *wordings(raw, row.where)))),
        (None,) if failed or output is None else _texts(output["raw"]),
        row["sample_id"].text(),
    )


def _texts(raw: Node) -> tuple[str, ...]:
    """A list of texts since version 0.2.1 of the schema, one text before."""
    return (raw.text(),) if isinstance(raw.value, str) else tuple(i.text() for i in raw.items())
