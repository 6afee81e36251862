"""`exleak paper`: every table and figure from one command, on stand-ins of the twelve models."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from exleak import load_dataset
from exleak.cli import main
from exleak.paper.presets import PRESETS, find
from exleak.paper.tables import Text, _latex, _markdown
from exleak.reports.published import published
from tests.helpers import checkpoints

SHORT = ["--limit=2", "--generations=1", "--instrument=embedded", "--device=cpu"]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hub cache with a stand-in for each model, of its architecture."""
    folder = tmp_path_factory.mktemp("cache")
    for seed, preset in enumerate(PRESETS):
        snapshot = checkpoints.snapshot(folder, preset.hub)
        checkpoints.save_stand_in(
            snapshot, preset.family, instruct=bool(preset.instruct), seed=seed
        )
    return folder


@pytest.fixture(scope="module")
def aexl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two short samples under the name of the paper's second dataset."""
    lines: list[dict[str, str]] = [
        {"dataset": "aexl", "version": "0", "instruction": "Complete the sentence"}
    ]
    lines += [
        {"id": f"a{i}", "control": f"The {thing} is", "positive": f"I won {i} times.",
         "neutral": f"I sat on chair {i}.", "negative": f"I lost {i} keys on the way here."}
        for i, thing in enumerate(["boat", "song"])
    ]  # fmt: skip
    path = tmp_path_factory.mktemp("data") / "aexl.jsonl"
    path.write_text("\n".join(map(json.dumps, lines)))
    return path


@pytest.fixture(scope="module")
def everything(cache: Path, aexl: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What the command wrote for all models on both datasets."""
    out = tmp_path_factory.mktemp("out")
    with pytest.MonkeyPatch.context() as patch:
        checkpoints.use_cache(cache, patch)
        data, store = ["--datasets", "hexl", str(aexl)], str(out / "store")
        assert main(["paper", *SHORT, *data, "--out", str(out), "--store", store]) == 0
        yield out


def rows(path: Path) -> list[dict[str, str]]:
    """A CSV file's rows."""
    return list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))


def run(tmp_path: Path, *arguments: str) -> int:
    """The command's exit status, on HEXL, without a store."""
    out = ["--out", str(tmp_path / "out"), "--store", "none", "--datasets", "hexl"]
    return main(["paper", *SHORT, *out, *arguments])


def test_the_presets_are_the_papers() -> None:
    """Twelve models in the order of Table 3; the instruct half in that of Table 4."""
    assert [preset.name for preset in PRESETS] == list(published(3))
    assert [preset.name for preset in PRESETS if preset.instruct] == list(published(4))
    assert find(["qwen2.5-0.5b"])[0].hub == "Qwen/Qwen2.5-0.5B"
    assert {preset.chat for preset in PRESETS} == {"always", "never"}


def test_all_files_are_there(everything: Path) -> None:
    """Tables in three forms, pictures in two, the report and the page."""
    names = {f"{t}.{s}" for t in ("table2", "table3", "table4", "figure1", "figure2")
             for s in ("md", "tex", "csv")}  # fmt: skip
    names |= {f"figure{i}.{s}" for i in (1, 2) for s in ("png", "svg")}
    names |= {"report.json", "README.md"}
    assert names == {path.name for path in everything.iterdir() if path.is_file()}
    assert (everything / "figure2.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in (everything / "figure1.svg").read_text()


@pytest.mark.parametrize(("table", "models", "measures"), [(3, 12, 5), (4, 6, 4)])
def test_every_number_stands_beside_the_published_one(
    everything: Path, table: Any, models: int, measures: int
) -> None:
    """In every form; doubtful ones carry their mark."""
    found = rows(everything / f"table{table}.csv")
    assert len(found) == models * 2 * measures
    cells = published(table)
    names = {"μ_L": "mu_l", "μ_EL": "mu", "W_EL": "w"}
    for row in found:
        cell = cells[row["model"]][row["dataset"]]
        if row["measure"] in ("carry-over", "residual"):  # the paper has none
            assert (row["published"], row["flagged"]) == ("", "")
            continue
        assert float(row["published"]) == getattr(cell, names[row["measure"]])
        assert (row["flagged"] == "yes") == (cell.flagged and row["measure"] != "μ_L")
    marks = 2 * sum(c.flagged for of in cells.values() for c in of.values())
    for kind, mark in (("md", "†)"), ("tex", r"\textdagger{})")):
        text = (everything / f"table{table}.{kind}").read_text()
        assert text.count(mark) == marks
        assert all(model in text for model in cells)
        assert "The published numbers were not decomposed" in text


def test_numbers_are_the_reports(everything: Path) -> None:
    """Tables and figures hold what the measurements hold."""
    report = json.loads((everything / "report.json").read_text())["measurements"]
    plain = [one for one in report if not one["sampling"]["mitigation"]]
    assert (len(report), len(plain)) == (36, 24)
    by_key = {(one["model"], one["dataset"]): one for one in plain}
    for row in rows(everything / "table3.csv"):
        found = by_key[row["model"], row["dataset"]]
        expected = {"μ_L": found["semantic"]["instance"]["rate"],
                    "μ_EL": found["expression"]["rate"],
                    "carry-over": found["expression"]["carry_over"]["share"]["rate"],
                    "residual": found["expression"]["residual"]["directional"]["rate"],
                    "W_EL": found["expression"]["p_value"]}[row["measure"]]  # fmt: skip
        assert row["value"] == ("" if expected is None else str(expected))
    for row in rows(everything / "figure2.csv"):
        rate = by_key[row["model"], row["dataset"]]["expression"]["by_condition"][row["class"]]
        assert row["rate"] == str(rate["rate"])


def test_models_are_prompted_as_their_kind_wants(everything: Path) -> None:
    """Instruct models through the template, base models without, Qwen's too."""
    report = json.loads((everything / "report.json").read_text())["measurements"]
    chat = {one["model"]: one["identity"]["chat"] for one in report}
    assert chat == {preset.name: preset.instruct for preset in PRESETS}


def test_figure_1_counts_the_injected_sentences(everything: Path, aexl: Path) -> None:
    """Mean length per class and dataset, with what the paper gives for its own."""
    found = {(row["dataset"], row["class"]): row for row in rows(everything / "figure1.csv")}
    assert len(found) == 6
    assert found["aexl", "neutral"]["published"] == "15.7"
    assert float(found["aexl", "positive"]["mean"]) == 5.0  # I won 0 times .
    assert load_dataset(aexl).samples[0].positive == "I won 0 times."


def test_table_2_shows_one_sample_of_every_model(everything: Path) -> None:
    """Four prompts with a continuation each."""
    found = rows(everything / "table2.csv")
    assert len(found) == 12 * 4
    assert len({row["control"] for row in found}) == 1
    assert all(row["continuation"].strip() for row in found)
    assert all(bool(row["injected"]) == (row["condition"] != "control") for row in found)


def test_a_second_run_needs_no_model(
    everything: Path, aexl: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the store: the same tables and the same pictures, byte for byte."""
    monkeypatch.setattr("exleak.generation.local.source.load_model", None)
    arguments = ["--datasets", "hexl", str(aexl), "--store", str(everything / "store")]
    assert main(["paper", *SHORT, *arguments, "--out", str(tmp_path)]) == 0
    for path in sorted(tmp_path.iterdir()):
        if path.name != "report.json":
            assert path.read_bytes() == (everything / path.name).read_bytes(), path.name


def test_missing_and_gated_models_do_not_stop_the_rest(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """Each has its message and the way out; the others are measured; the status is 1."""
    some = tmp_path / "cache"
    present = find(["Qwen2.5-0.5B"])[0]
    name = f"models--{present.hub.replace('/', '--')}"
    shutil.copytree(cache / name, some / name)
    checkpoints.use_cache(some, monkeypatch)
    names = ["--models", "Llama-3.2-1B", "Qwen2.5-1.5B", "Qwen2.5-0.5B"]
    assert run(tmp_path, *names, "--no-mitigation") == 1
    out = capsys.readouterr().out
    assert re.search(r"Llama-3.2-1B: .*cannot be loaded.*is gated: accept its licence", out)
    assert re.search(r"Qwen2.5-1.5B: .*cannot be loaded", out)
    assert "Qwen2.5-0.5B on hexl: μ_EL" in out
    page = (tmp_path / "out" / "README.md").read_text()
    assert "## Not measured" in page
    assert page.index("gated") < page.index("Qwen2.5-0.5B |")


def test_a_damaged_checkpoint_does_not_stop_the_rest(
    cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Weights cut short are told and left out like a missing model."""
    whole = checkpoints.snapshot(cache, "Qwen/Qwen2.5-0.5B")
    torn = Path(shutil.copytree(whole, tmp_path / "torn"))
    weights = torn / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    assert run(tmp_path, "--models", str(torn), str(whole), "--no-mitigation", "--no-figures") == 1
    out = capsys.readouterr().out
    assert f"not measured: {torn}" in out
    assert f"{whole} on hexl: μ_EL" in out


def test_nothing_measured_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only messages, and the status."""
    checkpoints.use_cache(tmp_path / "empty", monkeypatch)
    assert run(tmp_path, "--models", "Qwen2.5-3B") == 1
    assert not (tmp_path / "out").exists()


def test_own_checkpoints_take_the_place_of_the_papers(cache: Path, tmp_path: Path) -> None:
    """A folder: nothing published beside it; Table 4, as it has a chat template."""
    path = checkpoints.snapshot(cache, "Qwen/Qwen2.5-0.5B-Instruct")
    assert run(tmp_path, "--models", str(path), "--no-figures") == 0
    for table in (3, 4):
        found = rows(tmp_path / "out" / f"table{table}.csv")
        assert {row["model"] for row in found} == {str(path)}
        assert not any(row["published"] for row in found)
    assert not (tmp_path / "out" / "figure1.png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "Llama-9"], "not one of the paper's"),
        (["--datasets", "nowhere"], "unknown dataset"),
        (["--datasets", "hexl", "FOLDER/hexl.jsonl"], "two of them are called 'hexl'; rename one"),
        (["--limit", "0"], "--limit must be at least 1"),
        (["--generations", "0"], "generations"),
        (["--instrument", "./nowhere"], "nowhere"),
        (["--sample", "nosuch"], "--sample 'nosuch': hexl has no such sample among the 2"),
        (["--endpoint", "foo"], "endpoint 'foo': an address like"),
        (["--device", "gpu"], "--device 'gpu' is unknown"),
        (["--device", "cuda:99"], "--device cuda:99: not here"),
        (["--dtype", "float33"], "--dtype 'float33' is unknown"),
        (["--dtype", "int8"], "--dtype 'int8' is unknown"),
        (["--out", "FILE"], "is a file, not a folder"),
        (["--out", "FILE/deep"], "is a file, not a folder"),
    ],
)
def test_bad_arguments_are_refused_before_any_model(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    """One line, status 2."""
    monkeypatch.setattr("exleak.paper.runs.run_all", None)
    file = tmp_path / "file"
    file.write_text("mine")
    row = {
        "id": "a",
        "control": "It is",
        **dict.fromkeys(("positive", "neutral", "negative"), "X."),
    }
    (tmp_path / "hexl.jsonl").write_text(json.dumps(row))
    arguments = [text.replace("FOLDER", str(tmp_path)) for text in arguments]
    assert run(tmp_path, *(text.replace("FILE", str(file)) for text in arguments)) == 2
    assert message in capsys.readouterr().err


def test_without_matplotlib_the_way_out_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is measured."""
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    assert run(tmp_path, "--models", "Qwen2.5-0.5B") == 2
    assert "pip install 'exleak[plots]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("render", "safe"),
    [
        (_markdown, r"**&#60;script&#62; &#124; &#42;x&#42; � &#91;a&#93;(b)**"),
        (_latex, r"\textbf{\textless{}script\textgreater{} \textbar{} *x* ? [a](b)}"),
    ],
)
def test_model_output_is_no_markup(render: Any, safe: str) -> None:
    """Continuations are hostile input in Markdown and LaTeX, too."""
    found = render(Text((("<script> | *x* \x1b [a](b)", "continuation"),)))
    assert re.sub(r"&#40;|&#41;", lambda m: {"&#40;": "(", "&#41;": ")"}[m[0]], found) == safe
