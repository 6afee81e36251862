"""The files of other tools: the same texts give the same rates, whoever logged them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exleak import score
from exleak.datasets import load_dataset
from exleak.logs import Columns, read_log
from exleak.records import Measurement
from exleak.store import read_generations, write_generations
from tests.helpers.instruments import WORDS
from tests.helpers.logs import (
    WRITERS,
    Rows,
    deepeval_run,
    helm_state,
    hexl_rows,
    inspect_log,
    instances,
    lm_eval_samples,
    promptfoo_results,
    write_archive,
)

DATA = Path(__file__).parent / "data"


def _rates(measurement: Measurement) -> tuple[Any, ...]:
    """Everything that is computed from the texts."""
    return (
        measurement.expression,
        measurement.semantic,
        measurement.pairs,
        measurement.prompts,
        measurement.generations,
        measurement.by_control,
    )


@pytest.mark.parametrize("tool", WRITERS)
def test_the_same_texts_give_the_same_rates(tool: str, tmp_path: Path) -> None:
    """As our own generations file, and as a tool's log."""
    rows = hexl_rows()
    write_generations(tmp_path / "own.jsonl", rows)
    WRITERS[tool](tmp_path / "log", rows)
    log = read_log(tmp_path / "log")
    assert log.rows == rows
    assert log.dataset is not None
    assert log.dataset.name == "hexl"
    assert log.notes == ("224 of 240 prompts of hexl are not measured",)
    assert _rates(score(log.rows, WORDS)) == _rates(score(tmp_path / "own.jsonl", WORDS))


@pytest.mark.parametrize("tool", ["inspect json", "inspect eval", "helm", "every eval ever"])
def test_the_model_is_named(tool: str, tmp_path: Path) -> None:
    """By the tools that log it."""
    WRITERS[tool](tmp_path / "log", hexl_rows(1))
    assert read_log(tmp_path / "log").model == "a/model"


def test_a_generations_file_is_read_as_ever(tmp_path: Path) -> None:
    """No dataset is looked for."""
    write_generations(tmp_path / "own.jsonl", hexl_rows())
    log = read_log(tmp_path / "own.jsonl", "anything")
    assert (log.rows, log.dataset) == (read_generations(tmp_path / "own.jsonl"), None)


def test_real_samples_of_lm_eval() -> None:
    """Repeats are generations."""
    log = read_log(DATA / "samples_plain.jsonl")
    assert [row.id for row in log.rows[:5]] == [
        "hexl-001:control", "hexl-001:positive", "hexl-001:neutral", "hexl-001:negative",
        "hexl-002:control",
    ]  # fmt: skip
    assert len(log.rows) == 8
    assert log.rows[0].generations == (
        ". Go away,” Anna sm", "and it lailed cherries all day. She was",
    )  # fmt: skip


def test_real_samples_with_a_chat_template() -> None:
    """The last user message is found in what the template rendered."""
    log = read_log(DATA / "samples_chat.jsonl")
    prompts = load_dataset("hexl", limit=1).prompts
    assert [(row.id, row.prompt) for row in log.rows] == [(p.id, p.text) for p in prompts]
    assert log.rows[0].generations[1] == "The soup at the corner cafe tasted stale."


def test_real_logs_of_inspect() -> None:
    """The archive (Zstandard), the JSON, and the harness's samples of the same texts agree."""
    archive, log = read_log(DATA / "inspect.eval"), read_log(DATA / "inspect.json")
    assert archive.rows == log.rows == read_log(DATA / "samples_plain.jsonl").rows[:4]
    assert archive.model == log.model == "mockllm/model"


@pytest.mark.parametrize("name", ["deepeval.json", "promptfoo.json", "promptfoo.jsonl"])
def test_real_runs_of_the_same_texts(name: str) -> None:
    """Test cases, or repeats, in the order in which the tool wrote them."""
    log = read_log(DATA / name)
    assert log.rows == read_log(DATA / "samples_plain.jsonl").rows
    assert log.notes == ("232 of 240 prompts of hexl are not measured",)


def test_several_filters_are_one_sample(tmp_path: Path) -> None:
    """The harness writes each sample once a filter."""
    rows = hexl_rows()
    samples = lm_eval_samples(rows)
    again = [{**sample, "filter": "other"} for sample in samples]
    (tmp_path / "s").write_text("\n".join(map(json.dumps, [*samples, *again])))
    assert read_log(tmp_path / "s").rows == rows


@pytest.mark.parametrize("chat", ["listed", "bare"])
def test_chats_for_a_server(chat: str, tmp_path: Path) -> None:
    """The harness logs them as JSON, within a list or alone; older versions list arguments."""
    rows = hexl_rows()
    samples = lm_eval_samples(rows)
    for sample, row in zip(samples, rows, strict=True):
        text = json.dumps(
            [{"role": "system", "content": "Hi"}, {"role": "user", "content": row.prompt}]
        )
        sample["arguments"] = [[[text] if chat == "listed" else text, {"until": []}]]
    (tmp_path / "s").write_text("\n".join(map(json.dumps, samples)))
    assert read_log(tmp_path / "s").rows == rows


def test_attachments_of_inspect_are_put_back(tmp_path: Path) -> None:
    """Long texts are stored once and referred to."""
    rows = hexl_rows()
    log = inspect_log(rows)
    for sample in log["samples"]:
        text = sample["output"]["choices"][0]["message"]["content"][1]
        sample["attachments"] = {"abc": text["text"]}
        text["text"] = "attachment://abc"
    write_archive(tmp_path / "log", log)
    assert read_log(tmp_path / "log").rows == rows


def test_an_unfinished_run_of_inspect_is_said(tmp_path: Path) -> None:
    """It has a journal in place of a header."""
    log = inspect_log(hexl_rows())
    del log["status"]
    write_archive(tmp_path / "log", log, "_journal/start.json")
    assert read_log(tmp_path / "log").notes[0] == "the log is of a run that did not finish: started"


@pytest.mark.parametrize(
    ("columns", "names"),
    [
        (Columns("q", ("a", "b")), ("q", "a", "b", "id")),
        (Columns("q", ("a", "b"), "n"), ("q", "a", "b", "n")),
        (Columns(None, ("a", "b"), "n"), ("other", "a", "b", "n")),
    ],
)
def test_columns_are_named(columns: Columns, names: tuple[str, ...], tmp_path: Path) -> None:
    """A generation in each of several columns; ids in place of prompts."""
    rows = hexl_rows(generations=2)
    lines = [dict(zip(names, (row.prompt, *row.generations, row.id), strict=True)) for row in rows]
    (tmp_path / "t").write_text("\n".join(map(json.dumps, lines)))
    assert read_log(tmp_path / "t", None, columns).rows == rows


def _failed(tool: str, path: Path, rows: Rows) -> None:
    """Write a file whose first request has failed."""
    value: Any
    match tool:
        case "inspect":
            value = inspect_log(rows)
            value["samples"][-1].update(error={"message": "a"}, output={"choices": []})
        case "helm":
            value = helm_state(rows)
            value["request_states"][0]["result"] = {"success": False, "completions": []}
        case "promptfoo":
            results = promptfoo_results(rows)
            results[0].update(response={"error": "a"})
            value = {"results": {"results": results}}
        case "deepeval":
            value = deepeval_run(rows)
            value["testRunData"]["testCases"][0]["actualOutput"] = None
        case "instances":
            lines = [{**instances(rows)[0], "error": "a"}, *instances(rows)[1:]]
            path.write_text("\n".join(map(json.dumps, lines)))
            return
        case _:
            table = [{"prompt": row.prompt, "a": None, "b": row.generations[0]} for row in rows]
            path.write_text("\n".join(map(json.dumps, table)))
            return
    path.write_text(json.dumps(value, indent=1))


@pytest.mark.parametrize("tool", ["inspect", "helm", "promptfoo", "deepeval", "instances", "table"])
def test_a_failed_request_is_no_generation(tool: str, tmp_path: Path) -> None:
    """It is counted."""
    rows = hexl_rows()
    _failed(tool, tmp_path / "log", rows)
    log = read_log(
        tmp_path / "log", None, Columns("prompt", ("a", "b")) if tool == "table" else None
    )
    count = len(rows) if tool == "table" else 1
    assert f"{count} requests failed and have no generation" in log.notes
    assert "" not in [text for row in log.rows for text in row.generations]
