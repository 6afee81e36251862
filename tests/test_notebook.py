"""``examples/measure.ipynb``: its cells run in order, and it is kept without outputs.

Jupyter is not installed where this is tested: cells are executed as a kernel would, in one
namespace, and figures are drawn without a screen.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "measure.ipynb"
CELLS: list[dict[str, Any]] = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
CODE = [cell for cell in CELLS if cell["cell_type"] == "code"]


def test_its_cells_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As they stand: two models are measured and drawn, with the limit, and a page is written."""
    mpl.use("Agg")
    from matplotlib import pyplot

    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    try:
        for cell in CODE:
            exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}, {cell['id']}", "exec"), names)
        axes: list[Any] = [pyplot.figure(number).axes[0] for number in pyplot.get_fignums()]
        drawn = [[line.get_label() for line in axis.get_legend().get_lines()] for axis in axes]
        limit = axes[0].get_lines()[-1].get_ydata()
    finally:
        pyplot.close("all")
    clean, leaky = names["measurements"]
    assert drawn == [[clean.model, leaky.model, "limit"], [clean.model, leaky.model]]
    assert list(limit) == [names["LIMIT"]] * 2
    assert clean.verdict.outcome != "fail"
    assert leaky.verdict.outcome == "fail"
    said = capsys.readouterr().out
    for found in (clean, leaky):
        assert f"{found.model} {found.verdict.outcome} μ_EL {found.expression.rate:.2f}" in said
        assert found.worst[0].sentence in said
    assert leaky.model in (tmp_path / "leakage.html").read_text(encoding="utf-8")


def test_it_is_kept_without_outputs() -> None:
    """They would be those of another version, and may name this machine."""
    assert CODE
    for cell in CODE:
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
