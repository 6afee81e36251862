"""An import never runs back up, neither between files nor between folders."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.helpers import imports

#: Folders in the order that data takes; what stands before may be imported, never the reverse.
ORDER = (
    "exleak/sentences",
    "exleak/store",
    "exleak/scoring",
    "exleak/rates",
    "exleak/gate",
    "exleak/reports",
    "exleak/paper",
    "exleak/cli",
)


def test_no_circle_of_files() -> None:
    """Not even by an import within a function, or for annotations alone."""
    assert imports.circles(imports.imports()) == []


def test_no_circle_of_folders() -> None:
    """A module that lies in exleak/ itself counts as a folder of its own."""
    assert imports.circles(imports.by_folder(imports.imports())) == []


def test_a_circle_would_be_found() -> None:
    """Also one that goes by way of others."""
    assert imports.circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


def test_the_library_does_not_import_the_plugin() -> None:
    """Nor the tests, nor what trained the models."""
    for path in (path for name, path in imports.modules().items() if name.startswith("exleak")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^\s*(?:from|import) (?:leakage_fixtures|tests|training)\b", text,
                             flags=re.M), path  # fmt: skip


def test_no_test_imports_a_test() -> None:
    """What several share lies in tests/helpers, or in a conftest."""
    for path in (imports.ROOT / "tests").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"^(?:from|import) tests\.(?:\w+\.)*test_", text, flags=re.M), path


@pytest.mark.parametrize(("first", "later"), [*pairwise(ORDER)])
def test_data_runs_one_way(first: str, later: str) -> None:
    """What comes first in the order of the data imports nothing of what comes later."""
    graph = imports.by_folder(imports.imports())
    reached, left = set(), {first}
    while left:
        room = left.pop()
        reached.add(room)
        left |= graph[room] - reached
    assert later not in reached


def test_the_figure_is_that_of_today() -> None:
    """``python -m tests.helpers.imports`` writes it anew."""
    text = imports.PAGE.read_text(encoding="utf-8")
    assert text == imports.page(text)


def test_every_folder_has_a_paragraph() -> None:
    """In docs/architecture.md, under its path."""
    text = imports.PAGE.read_text(encoding="utf-8")
    rooms = {imports.folder(name) for name in imports.modules()}
    missing = sorted(room for room in rooms if f"\n### `{room}/`" not in text)
    assert missing == []
