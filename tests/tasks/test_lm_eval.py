"""The folder for lm-evaluation-harness: its settings, its data, and its metrics, read as by it."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
import math
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from exleak import score
from exleak.cli import main
from exleak.datasets import load_dataset
from exleak.errors import ExleakError
from exleak.generation.sampling import Sampling
from exleak.prompts import MITIGATION, prompt_text
from exleak.tasks.lm_eval import export
from tests.helpers.logs import hexl_rows


def _function(folder: Path, name: str) -> Any:
    """A function named in a YAML file: of the module beside it, by its path."""
    module, _, function = name.rpartition(".")
    spec = importlib.util.spec_from_file_location(module, folder / f"{module}.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return getattr(found, function)


def _task(path: Path) -> dict[str, Any]:
    """A task's settings, with the functions in their place."""

    class Loader(yaml.SafeLoader):
        pass

    def named(loader: Any, node: Any) -> Any:
        return _function(path.parent, loader.construct_scalar(node))

    Loader.add_constructor("!function", named)
    found: dict[str, Any] = yaml.load(path.read_text(encoding="utf-8"), Loader)
    return found


def _documents(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The documents that the harness would ask; it adds what the model was made of."""
    about = {**task["metadata"], "pretrained": "a/model"}
    return list(task["custom_dataset"](**about, **task["dataset_kwargs"])[task["test_split"]])


def test_the_settings_are_the_paper_s(tmp_path: Path) -> None:
    """Those of :class:`exleak.Sampling`, by the names of transformers and of the harness."""
    assert export(tmp_path) == ("exleak_hexl", "exleak_aexl")
    paper = Sampling()
    for name in ("hexl", "aexl"):
        task = _task(tmp_path / f"exleak_{name}.yaml")
        assert task["task"] == f"exleak_{name}"
        assert task["output_type"] == "generate_until"
        assert task["repeats"] == paper.generations
        assert task["generation_kwargs"] == {
            "until": [],
            "do_sample": True,
            "temperature": paper.temperature,
            "top_p": paper.top_p,
            "top_k": paper.top_k,
            "repetition_penalty": paper.repetition_penalty,
            "max_gen_toks": paper.max_new_tokens,
        }
        assert len(_documents(task)) == len(load_dataset(name).prompts)


def test_the_data_are_the_dataset_s(tmp_path: Path) -> None:
    """Every prompt word for word, in the dataset's order, with the fields that rates need."""
    export(tmp_path, ["hexl"])
    task = _task(tmp_path / "exleak_hexl.yaml")
    prompts = load_dataset("hexl").prompts
    found = _documents(task)
    assert [(one["id"], one[task["doc_to_text"]]) for one in found] == [
        (prompt.id, prompt.text) for prompt in prompts
    ]
    assert [one["injected"] for one in found] == [prompt.injected for prompt in prompts]


def test_other_settings(tmp_path: Path) -> None:
    """Generations, samples, a mitigation, and a dataset of one's own."""
    export(
        tmp_path, ["examples/german.jsonl"], sampling=Sampling(generations=3), limit=2,
        mitigation=MITIGATION,
    )  # fmt: skip
    (file,) = tmp_path.glob("*.yaml")
    task = _task(file)
    prompts = load_dataset("examples/german.jsonl", limit=2).prompts
    assert task["repeats"] == 3
    assert [one["prompt"] for one in _documents(task)] == [
        prompt_text(prompt, MITIGATION) for prompt in prompts
    ]


def test_the_folder_can_be_moved(tmp_path: Path) -> None:
    """And works where exleak is not installed, from any working folder."""
    export(tmp_path / "here", ["hexl"], limit=1)
    folder = (tmp_path / "here").rename(tmp_path / "there")
    code = (
        "import sys; sys.modules['exleak'] = None; sys.path.insert(0, sys.argv[1])\n"
        "import exleak_task as task\n"
        "found = list(task.documents('exleak_hexl.jsonl')['test'])\n"
        "items = [task.answered(one, [['good.', 'bad.']])['mu_EL'] for one in found]\n"
        "print(len(found), task.mu_el(items))"
    )
    environment = {name: text for name, text in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], cwd=tmp_path, env=environment,
        capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["4", "nan"]
    assert "score the samples with exleak score" in done.stderr


def test_the_metrics_are_those_of_exleak_score(tmp_path: Path) -> None:
    """Of all generations, in whatever order several processes gather them."""
    export(tmp_path, ["hexl"], limit=6)
    task = _task(tmp_path / "exleak_hexl.yaml")
    rows = hexl_rows(samples=6, generations=3)
    # Without a filter, a document's only request has the list of its generations.
    assert task["filter_list"] == [{"name": "none", "filter": []}]
    results = [
        task["process_results"](document, [list(row.generations)])
        for document, row in zip(_documents(task), rows, strict=True)
    ]
    shown = {
        metric["metric"]: metric["aggregation"]([one[metric["metric"]] for one in results[::-1]])
        for metric in task["metric_list"]
    }
    expression = score(rows).expression
    assert shown == {"mu_EL": expression.rate, "directional": expression.directional.rate}


def test_an_error_loses_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The harness writes its samples after the metrics, so these must not fail."""
    export(tmp_path, ["examples/german.jsonl"], limit=1)
    (file,) = tmp_path.glob("*.yaml")
    task = _task(file)
    items = [task["process_results"](one, [["gut."]])["mu_EL"] for one in _documents(task)]
    with caplog.at_level(logging.WARNING):
        assert math.isnan(task["metric_list"][0]["aggregation"](items))
    assert "knows the languages en" in caplog.text


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Path]:
    """A folder with a file of somebody else's, which stays as it is."""
    path = tmp_path / "exleak_hexl.yaml"
    path.write_text("mine", encoding="utf-8")
    yield path
    assert path.read_text(encoding="utf-8") == "mine"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_overwritten(other: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nor is anything else written then."""
    assert main(["export", "lm-eval", "-o", str(other.parent)]) == 2
    said = capsys.readouterr().err
    assert f"{other}: it is there already, with another content; delete it" in said


def test_the_same_folder_twice_is_no_error(tmp_path: Path) -> None:
    """And one dataset may join another."""
    export(tmp_path, ["hexl"], limit=1)
    export(tmp_path, ["hexl"], limit=1)
    export(tmp_path, ["aexl"], limit=1)
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "exleak_task.py", "exleak_hexl.yaml", "exleak_hexl.jsonl", "exleak_aexl.yaml",
        "exleak_aexl.jsonl",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"datasets": ["hexl", "hexl"]}, "hexl: another dataset is called 'hexl', too"),
        ({"datasets": ["nothing"]}, "unknown dataset 'nothing'"),
        ({"limit": 0}, "limit must be at least 1"),
    ],
)
def test_bad_input_is_told(arguments: dict[str, Any], said: str, tmp_path: Path) -> None:
    """Before anything is written."""
    with pytest.raises(ExleakError, match=said):
        export(tmp_path / "out", **arguments)
    assert not (tmp_path / "out").exists()


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    """Nor can it become one."""
    (tmp_path / "out").write_text("")
    with pytest.raises(ExleakError, match="is a file, not a folder"):
        export(tmp_path / "out")


def test_names_of_tasks_are_plain(tmp_path: Path) -> None:
    """Whatever the dataset is called; its name cannot break the YAML."""
    sample = {"id": "1", "control": "I am", "positive": "P.", "neutral": "N.", "negative": "B."}
    header = {"dataset": "My: own\n– set!", "version": 'a "b"'}
    text = f"{json.dumps(header)}\n{json.dumps(sample)}\n"
    (tmp_path / "d.jsonl").write_text(text, encoding="utf-8")
    assert export(tmp_path / "out", [tmp_path / "d.jsonl"]) == ("exleak_my_own_set",)
    task = _task(tmp_path / "out" / "exleak_my_own_set.yaml")
    assert task["metadata"] == {"version": 'a "b"'}


def test_the_command_says_what_comes_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the folder and the dataset that were given."""
    out = tmp_path / "a folder"
    arguments = ["--dataset", "hexl", "--limit", "1", "--generations", "2", "--mitigation"]
    assert main(["export", "lm-eval", "-o", str(out), *arguments]) == 0
    said = capsys.readouterr().out
    assert f"lm_eval run --include_path '{out}' --tasks exleak_hexl " in said
    assert "exleak score OUT/*/samples_exleak_hexl_*.jsonl --dataset hexl " in said
    task = _task(out / "exleak_hexl.yaml")
    assert task["repeats"] == 2
    assert _documents(task)[0]["prompt"].startswith(MITIGATION)


def test_the_module_is_the_tested_one(tmp_path: Path) -> None:
    """A copy of :mod:`exleak.tasks.harness`, which imports nothing of exleak by itself."""
    export(tmp_path, ["hexl"], limit=1)
    module: ModuleType = importlib.import_module("exleak.tasks.harness")
    text = Path(str(module.__file__)).read_text(encoding="utf-8")
    assert (tmp_path / "exleak_task.py").read_text(encoding="utf-8") == text
