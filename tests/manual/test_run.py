"""The Python of the pages to start with runs as it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.helpers.manual import DOCS, ROOT, markdown
from tests.helpers.manual.markdown import Block

PAGES = ("index.md", "start.md", "numbers.md", "why-red.md")
BLOCKS = [block for page in PAGES for block in markdown.blocks(DOCS / page, "python")]


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a reference model in the place of the checkpoint, on three samples."""
    from exleak import measurement, reference
    from exleak.datasets import load_dataset

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step-1000").symlink_to(reference.path("reference-clean"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(measurement, "load_dataset", lambda name: load_dataset(name, limit=3))
    exec(compile(block.text, str(block), "exec"), {})


def test_the_first_table_is_the_same_everywhere() -> None:
    """In README and on the page to start with."""
    tables = [
        [line for line in page.read_text(encoding="utf-8").splitlines() if " hexl  0." in line]
        for page in (ROOT / "README.md", DOCS / "start.md")
    ]
    assert len(tables[0]) == 2
    assert tables[0] == tables[1]
