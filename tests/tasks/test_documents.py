"""Rates from what a tool carried through its run are those of the same rows."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from exleak import score
from exleak.datasets import load_dataset
from exleak.errors import InstrumentError
from exleak.prompts import MITIGATION, prompt_text
from exleak.records import PromptGenerations
from exleak.tasks.documents import Document, documents, rates, row_of
from tests.helpers.instruments import WORDS
from tests.helpers.languages import GERMAN
from tests.helpers.logs import hexl_rows

Answered = list[tuple[Document, list[str]]]


def _one_by_one(rows: Sequence[PromptGenerations]) -> Answered:
    """Each generation by itself, the epochs in order and their prompts in none."""
    found = documents(load_dataset("hexl", limit=len(rows) // 4))
    draw, answered = random.Random(1), []
    for index in range(len(rows[0].generations)):
        epoch = [
            (document, [row.generations[index]])
            for document, row in zip(found, rows, strict=True)
        ]  # fmt: skip
        answered += draw.sample(epoch, len(epoch))
    return answered


def test_a_document_is_a_row_of_the_dataset() -> None:
    """In the order of the dataset."""
    rows = hexl_rows()
    found = documents(load_dataset("hexl", limit=4))
    again = [row_of(document, row.generations) for document, row in zip(found, rows, strict=True)]
    assert again == list(rows)


def test_a_mitigation_is_part_of_the_prompt() -> None:
    """And of nothing else."""
    data = load_dataset("hexl", limit=1)
    plain, mitigated = documents(data), documents(data, MITIGATION)
    for document, prompt in zip(mitigated, data.prompts, strict=True):
        assert document["prompt"] == prompt_text(prompt, MITIGATION)
    assert [{**one, "prompt": ""} for one in plain] == [{**one, "prompt": ""} for one in mitigated]


def test_rates_are_those_of_the_rows() -> None:
    """Whatever the order of the prompts, and generation by generation."""
    rows = hexl_rows(samples=12, generations=4)
    found = score(rows, WORDS)
    expression = found.expression
    assert expression.residual is not None
    assert rates(_one_by_one(rows), WORDS) == {
        "mu_EL": expression.rate,
        "W_EL_p": expression.p_value,
        "directional": expression.directional.rate,
        "residual": expression.residual.directional.rate,
        "unusable": 0.0,
    }


def test_the_order_of_generations_is_kept() -> None:
    """Semantic leakage compares them by index."""
    rows = hexl_rows(samples=2, generations=4)
    seen: list[PromptGenerations] = []

    def look(given: Sequence[PromptGenerations], _: object) -> None:
        seen.extend(given)
        raise InterruptedError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("exleak.measurement.score", look)
        with pytest.raises(InterruptedError):
            rates(_one_by_one(rows), WORDS)
    assert seen == list(rows)


def test_a_run_that_has_just_begun_has_no_rates() -> None:
    """Inspect asks for them all the time."""
    answered = _one_by_one(hexl_rows(samples=1, generations=1))
    controls = [item for item in answered if item[0]["condition"] == "control"]
    tests = [item for item in answered if item[0]["condition"] != "control"]
    assert rates([], WORDS) == rates(controls, WORDS) == rates(tests, WORDS) == {}
    assert rates([(about, []) for about, _ in answered], WORDS) == {}
    assert "mu_EL" in rates([*controls, *tests], WORDS)


def test_prompts_without_generations_or_control_are_left_out() -> None:
    """As in a log."""
    rows = hexl_rows(samples=3, generations=2)
    answered = _one_by_one(rows)
    missing = {"hexl-001:control", "hexl-002:positive"}
    kept = [(about, [] if about["id"] in missing else texts) for about, texts in answered]
    left = [row for row in rows if row.id not in missing and row.control != "hexl-001:control"]
    assert rates(kept, WORDS)["mu_EL"] == score(left, WORDS).expression.rate


def test_nothing_to_score_is_a_share_without_rates() -> None:
    """Undefined rates are absent."""
    answered = [(about, [""]) for about in documents(load_dataset("hexl", limit=2))]
    assert rates(answered, WORDS) == {"unusable": 1.0}


def test_languages_are_carried() -> None:
    """An instrument is asked whether it knows them."""
    answered = [(about, ["gut."]) for about in documents(load_dataset("examples/german.jsonl"))]
    assert "mu_EL" in rates(answered, GERMAN)
    with pytest.raises(InstrumentError, match="de"):
        rates(answered, "embedded")
