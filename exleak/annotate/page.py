"""The annotators' page: one self-contained HTML file that needs no network.

Model output is embedded as data (:mod:`exleak.pages`) and shown as text only.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from exleak.annotate.task import Task
from exleak.pages import render

_TEMPLATE = Path(__file__).parent / "assets" / "page.html"


def page(export: str, task: Task, items: Sequence[dict[str, str]]) -> str:
    """Render the page for one export.

    Args:
        export: Id of the export, under which the browser stores the answers.
        task: The task.
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
