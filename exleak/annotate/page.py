"""The page that annotators open: one HTML file, with everything in it and no network.

What a model wrote enters the page as data (:mod:`exleak.pages`) and reaches the document as text
only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from exleak.annotate.task import Task
from exleak.pages import render

_TEMPLATE = Path(__file__).parent / "assets" / "page.html"


def page(export: str, task: Task, items: Sequence[dict[str, str]]) -> str:
    """The page for one export.

    Args:
        export: Its id; what annotators have answered is kept in the browser under it.
        task: What is asked.
        items: Id and shown texts of each item, in the order shown.
    """
    data = {
        "schema": 1,
        "export": export,
        "task": task.name,
        "intro": task.intro,
        "shown": task.shown,
        "questions": [dataclasses.asdict(question) for question in task.questions],
        "items": list(items),
    }
    return render(_TEMPLATE, data)
