"""Logged prompts are matched with a dataset by text and by id; the rest is counted and said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from exleak import score
from exleak.cli import main
from exleak.datasets import load_dataset
from exleak.errors import DatasetError
from exleak.logs import chat, read_log
from exleak.records import PromptGenerations
from tests.helpers.instruments import WORDS
from tests.helpers.logs import WRITERS, hexl_rows

ROWS = hexl_rows(2)


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def _table(rows: tuple[PromptGenerations, ...] = ROWS) -> list[dict[str, Any]]:
    return [{"prompt": row.prompt, "generations": [*row.generations]} for row in rows]


def test_white_space_does_not_matter(tmp_path: Path) -> None:
    """Around a prompt and within it."""
    table = _table()
    table[1]["prompt"] = f"\n{table[1]['prompt'].replace(' ', '  ')} \n"
    assert read_log(_write(tmp_path / "t", table)).rows == ROWS


def test_anything_else_does(tmp_path: Path) -> None:
    """Other wording is another prompt: it is counted, and the first is shown."""
    table = _table()
    table[1]["prompt"] = table[1]["prompt"].lower()
    log = read_log(_write(tmp_path / "t", table))
    assert log.rows == (ROWS[0], *ROWS[2:])
    assert log.notes == (
        "1 of 8 logged prompts are none of hexl and are left out, the first: 'complete the "
        "sentence: peace came at last and everyone danced outside. the soup …'",
        "233 of 240 prompts of hexl are not measured",
    )


def test_failed_requests_are_counted(tmp_path: Path) -> None:
    """They are no empty generations; a different number of generations is noted."""
    table = _table()
    table[1]["generations"][0] = None
    log = read_log(_write(tmp_path / "t", table))
    assert log.rows[1].generations == ROWS[1].generations[1:]
    assert "1 requests failed and have no generation" in log.notes
    noted = score(log.rows, WORDS).notes
    assert "prompts differ in their number of generations: 2 to 3" in noted


def test_tests_without_their_control_are_left_out(tmp_path: Path) -> None:
    """They cannot be compared with anything."""
    log = read_log(_write(tmp_path / "t", _table(ROWS[1:])))
    assert log.rows == ROWS[4:]
    assert "3 test prompts are left out: their controls have no generations" in log.notes
    with pytest.raises(DatasetError, match="no test prompt of hexl has generations together with"):
        read_log(_write(tmp_path / "t", _table(ROWS[:1])))


def test_nothing_matches(tmp_path: Path) -> None:
    """The datasets that were tried are named, and the first prompt."""
    path = _write(tmp_path / "t", [{"prompt": "What is 2 + 2?", "output": "4"}])
    with pytest.raises(DatasetError) as caught:
        read_log(path)
    message = str(caught.value)
    assert "none of its 1 prompts is one of aexl, hexl (the first is 'What is 2 + 2?')" in message
    with pytest.raises(DatasetError, match="is one of aexl "):
        read_log(_write(tmp_path / "t", _table()), "aexl")


def test_prompts_of_two_datasets(tmp_path: Path) -> None:
    """They are not mixed; one may be chosen."""
    other = load_dataset("aexl", limit=1).prompts
    table = [*_table(), *({"prompt": p.text, "generations": ["good"]} for p in other)]
    path = _write(tmp_path / "t", table)
    with pytest.raises(DatasetError, match=r"several datasets are in it \(aexl, hexl\): choose"):
        read_log(path)
    assert read_log(path, "hexl").rows == ROWS
    assert len(read_log(path, "aexl").rows) == 4


def test_an_id_tells_a_prompt_within_another_text(tmp_path: Path) -> None:
    """If the text holds the prompt's sentences; the text that was sent is kept."""
    table = [{"id": row.id, **value} for row, value in zip(ROWS, _table(), strict=True)]
    table[1]["prompt"] = sent = f"Q: {ROWS[1].injected} {ROWS[1].control_text}\nA:"
    log = read_log(_write(tmp_path / "t", table))
    assert [row.id for row in log.rows] == [row.id for row in ROWS]
    assert log.rows[1].prompt == sent
    table[1]["prompt"] = "Complete the sentence: Another sentence. " + str(ROWS[1].control_text)
    assert len(read_log(_write(tmp_path / "t", table)).rows) == 7


def test_an_id_that_contradicts_the_text(tmp_path: Path) -> None:
    """One of them is wrong, and nobody knows which."""
    table = [{"id": row.id, **value} for row, value in zip(ROWS, _table(), strict=True)]
    table[1]["id"] = "hexl-002:positive"
    path = _write(tmp_path / "t", table)
    with pytest.raises(DatasetError, match="line 2: the id is that of 'hexl-002:positive', but"):
        read_log(path)


def test_prompts_with_the_same_text_need_an_id(tmp_path: Path) -> None:
    """A dataset may use a control twice."""
    data = tmp_path / "d.jsonl"
    sample = {"control": "It is", "positive": "Good.", "neutral": "So.", "negative": "Bad."}
    _write(data, [{"id": "a", **sample}, {"id": "b", **sample, "positive": "Fine."}])
    prompts = load_dataset(data).prompts
    table = [{"prompt": prompt.text, "generations": ["x"]} for prompt in prompts]
    path = _write(tmp_path / "t", table)
    with pytest.raises(DatasetError, match="line 1: the text is that of 'a:control' and of 'b:con"):
        read_log(path, data)
    table = [{"id": p.id, **value} for p, value in zip(prompts, table, strict=True)]
    assert [row.id for row in read_log(_write(path, table), data).rows] == [p.id for p in prompts]


@pytest.mark.parametrize(
    ("rendered", "user"),
    [
        ("<|im_start|>system\nHi<|im_end|>\n<|im_start|>user\nASK<|im_end|>\n<|im_start|>assistant\n",
         "ASK"),
        ("<|im_start|>user\nASK<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n", "ASK"),
        ("<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nHi<|eot_id|>"
         "<|start_header_id|>user<|end_header_id|>\n\nASK<|eot_id|><|start_header_id|>assistant"
         "<|end_header_id|>\n\n", "ASK"),
        ("<s>[INST] ASK [/INST]", "ASK"),
        ("<bos><start_of_turn>user\nASK<end_of_turn>\n<start_of_turn>model\n", "ASK"),
        ("<|system|>\nHi</s>\n<|user|>\nASK</s>\n<|assistant|>\n", "ASK"),
        ("<｜begin▁of▁sentence｜>Hi<｜User｜>ASK<｜Assistant｜>", "ASK"),
        ("<|im_start|>user\none<|im_end|>\n<|im_start|>assistant\ntwo<|im_end|>\n"
         "<|im_start|>user\nASK<|im_end|>\n", "ASK"),
    ],
)  # fmt: skip
def test_the_last_user_message_of_a_rendered_chat(rendered: str, user: str) -> None:
    """In the templates of several families."""
    assert chat.wordings(rendered, "here") == (rendered, user)


def test_plain_text_is_no_chat() -> None:
    """Nor is JSON that is none."""
    for text in ("a < b | c > d", "[{", '[{"a": 1}]', "[1]", '"a"'):
        assert chat.wordings(text, "here") == (text,)


def test_the_report_names_model_dataset_and_what_was_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the log, unless the command line says otherwise."""
    WRITERS["inspect eval"](tmp_path / "log", ROWS)
    out = tmp_path / "out.json"
    assert main(["score", str(tmp_path / "log"), "--json", str(out)]) == 0
    (found,) = json.loads(out.read_text())["measurements"]
    data = load_dataset("hexl")
    assert (found["model"], found["dataset"]) == ("a/model", "hexl")
    assert found["identity"]["dataset"] == data.hash
    assert found["identity"]["limit"] == 2
    assert "232 of 240 prompts of hexl are not measured" in capsys.readouterr().out
    assert main(["score", str(tmp_path / "log"), "--model", "mine", "--json", str(out)]) == 0
    assert json.loads(out.read_text())["measurements"][0]["model"] == "mine"
    table = _write(tmp_path / "t", [{"q": r["prompt"], "a": r["generations"]} for r in _table()])
    columns = ["--prompt-column", "q", "--generation-column", "a", "--dataset", "hexl"]
    assert main(["score", str(table), *columns]) == 0
