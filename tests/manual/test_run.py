"""Python of the pages runs as it stands, wherever it needs no other package and no training."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.manual import DOCS, ROOT, markdown
from tests.helpers.manual.markdown import Block

PAGES = ("index.md", "start.md", "numbers.md", "why-red.md", "fixtures.md", "reports.md",
         "other-tools.md")  # fmt: skip
#: What a block needs that is not run: a package, a log of another tool, a Trainer.
NEEDED = ("pandas", "read_log(", "attach(")
BLOCKS = [
    block
    for page in (*(DOCS / page for page in PAGES), ROOT / "README.md")
    for block in markdown.blocks(page, "python")
    if not any(needed in block.text for needed in NEEDED)
]


def run(block: Block, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The names of a block that was run in a folder with a checkpoint, on three samples."""
    from exleak import measurement, reference
    from exleak.datasets import load_dataset

    (folder / "checkpoints").mkdir(exist_ok=True)
    (folder / "checkpoints" / "step-1000").symlink_to(reference.path("reference-clean"))
    monkeypatch.chdir(folder)
    monkeypatch.setattr(measurement, "load_dataset", lambda name: load_dataset(name, limit=3))
    names: dict[str, Any] = {}
    exec(compile(block.text, str(block), "exec"), names)
    return names


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_python_runs(block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a reference model in the place of the checkpoint; a report is there."""
    from exleak.reports import write_report
    from tests.helpers.measurements import measurement

    write_report(tmp_path / "out.json", [measurement()])
    run(block, tmp_path, monkeypatch)


def test_the_test_of_a_user_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """That of the page on fixtures: it fails by a rate alone."""
    from tests.helpers.measurements import measurement

    tests = [
        test
        for block in markdown.blocks(DOCS / "fixtures.md", "python")
        if "def test_" in block.text
        for name, test in run(block, tmp_path, monkeypatch).items()
        if name.startswith("test_")
    ]
    (test,) = tests
    assert list(inspect.signature(test).parameters) == ["leakage_measurement"]
    with pytest.raises(AssertionError):
        test(measurement())


def test_the_first_table_is_the_same_everywhere() -> None:
    """In README and on the page to start with."""
    tables = [
        [line for line in page.read_text(encoding="utf-8").splitlines() if " hexl  0." in line]
        for page in (ROOT / "README.md", DOCS / "start.md")
    ]
    assert len(tables[0]) == 2
    assert tables[0] == tables[1]
