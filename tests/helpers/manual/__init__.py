"""The pages and figures of the manual that are made from the code.

``python -m tests.helpers.manual`` writes them anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
#: Stands below the title of each page that is made from the code.
MADE = "<!-- Made from the code: python -m tests.helpers.manual -->"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """The lines of a Markdown table."""
    lines = [head, tuple("---" for _ in head), *rows]
    return ["| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in lines]
