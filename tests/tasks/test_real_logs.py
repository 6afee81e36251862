"""Logs of our tasks by the real tools: what they showed is what ``exleak score`` gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exleak import score
from exleak.logs import read_log
from exleak.prompts import clean
from exleak.records import Measurement
from exleak.tasks.documents import rates

DATA = Path(__file__).parent / "data"
HARNESS, INSPECT = DATA / "samples_exleak_hexl.jsonl", DATA / "inspect.json"


def _measured(path: Path) -> Measurement:
    log = read_log(path)
    assert log.dataset is not None
    assert (log.dataset.name, len(log.rows)) == ("hexl", 8)
    assert {len(row.generations) for row in log.rows} == {2}
    return score(log.rows)


def test_the_table_of_the_harness() -> None:
    """Both of its metrics."""
    shown = json.loads((DATA / "results.json").read_text(encoding="utf-8"))["results"]
    expression = _measured(HARNESS).expression
    assert shown["exleak_hexl"]["mu_EL,none"] == expression.rate
    assert shown["exleak_hexl"]["directional,none"] == expression.directional.rate


def test_the_harness_s_documents() -> None:
    """Those that it logged give the same numbers today."""
    lines = [json.loads(line) for line in HARNESS.read_text(encoding="utf-8").splitlines()]
    expression = _measured(HARNESS).expression
    found = rates([(line["doc"], line["resps"][0]) for line in lines], "embedded")
    assert (found["mu_EL"], found["directional"]) == (
        expression.rate, expression.directional.rate,
    )  # fmt: skip


@pytest.fixture(scope="module")
def log() -> dict[str, Any]:
    """Inspect's log."""
    found: dict[str, Any] = json.loads(INSPECT.read_text(encoding="utf-8"))
    return found


def test_the_metrics_of_inspect(log: dict[str, Any]) -> None:
    """All of them."""
    (scores,) = log["results"]["scores"]
    shown = {name: metric["value"] for name, metric in scores["metrics"].items()}
    expression, counts = _measured(INSPECT).expression, _measured(INSPECT).generations
    found = {
        "mu_EL": expression.rate,
        "W_EL_p": expression.p_value,
        "directional": expression.directional.rate,
        "residual": expression.residual and expression.residual.directional.rate,
        "unusable": counts["unusable"] / counts["total"],
    }
    assert shown == {name: value for name, value in found.items() if value is not None}


def test_the_answers_that_inspect_shows(log: dict[str, Any]) -> None:
    """Are the first sentences that are scored, by epoch."""
    rows = {row.id: row for row in read_log(INSPECT).rows}
    assert len(log["samples"]) == 16
    for sample in log["samples"]:
        shown = sample["scores"]["first_sentence"]
        generation = clean(rows[sample["id"]])[sample["epoch"] - 1]
        assert shown["answer"] == generation.sentence
        assert (shown["value"]["positive"] is not None) == generation.usable
