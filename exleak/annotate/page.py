"""The page that annotators open: one HTML file, with everything in it and no network.

What a model wrote enters the page as JSON in which no ``<`` is left, and reaches the document as
text only. A content security policy lets just the page's own script and style run.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from exleak.annotate.task import Task

_FOLDER = Path(__file__).parent / "assets"
_ESCAPES = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"}


def page(export: str, task: Task, items: Sequence[dict[str, str]]) -> str:
    """The page for one export.

    Args:
        export: Its id; what annotators have answered is kept in the browser under it.
        task: What is asked.
        items: Id and shown texts of each item, in the order shown.
    """
    style, script = _asset("page.css"), _asset("page.js")
    data = {
        "schema": 1,
        "export": export,
        "task": task.name,
        "intro": task.intro,
        "shown": task.shown,
        "questions": [dataclasses.asdict(question) for question in task.questions],
        "items": list(items),
    }
    # In this order: what is put in last can not be taken for a mark.
    return (
        _asset("page.html")
        .replace("{{style-hash}}", _hash(style))
        .replace("{{script-hash}}", _hash(script))
        .replace("{{style}}", style)
        .replace("{{script}}", script)
        .replace("{{data}}", embedded(data))
    )


def embedded(data: object) -> str:
    """JSON for a script element: ASCII, and nothing that HTML could read as markup."""
    text = json.dumps(data, ensure_ascii=True)
    for character, escape in _ESCAPES.items():
        text = text.replace(character, escape)
    return text


def _asset(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
