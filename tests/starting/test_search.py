"""Which checkpoints are found in a repository, and how they are named."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from exleak.errors import SettingsError
from exleak.starting import search as searching
from exleak.starting.search import Found, search

Make = Callable[..., Path]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Make a folder that looks like a checkpoint."""

    def made(path: str, **config: object) -> Path:
        folder = tmp_path / path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", **config}))
        (folder / "model.safetensors").write_bytes(b"\x02" + bytes(7) + b"{}")
        return folder

    return made


def paths(folder: Path, **given: int) -> list[str]:
    """The paths found."""
    return [found.path for found in search(folder, **given).models]


def test_the_last_of_a_series_stands_for_all(make: Make, tmp_path: Path) -> None:
    """Steps sort as numbers; sizes of models are no steps."""
    for name in ("run/checkpoint-9", "run/checkpoint-10", "llama-7b", "llama-13b", "run"):
        make(name)
    assert search(tmp_path).models == (
        Found("llama-7b", "llama-7b"),
        Found("llama-13b", "llama-13b"),
        Found("run", "run"),
        Found("run/checkpoint-10", "run/checkpoint-10", "run/checkpoint-*", 2),
    )


def test_series_may_be_in_the_middle_of_a_path(make: Make, tmp_path: Path) -> None:
    """What is no pattern is escaped, so that the pattern finds just these."""
    for step in (1, 2):
        make(f"run [a]/step-{step}/hf")
    make("run a/step-1/hf")
    pattern = search(tmp_path).models[0].series
    assert pattern == "run [[]a]/step-*/hf"
    found = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.glob(pattern))
    assert found == ["run [a]/step-1/hf", "run [a]/step-2/hf"]


def test_names_that_clash_are_lengthened(make: Make, tmp_path: Path) -> None:
    """By the folders before them."""
    for name in ("a/best", "b/best", "a/step-1", "b/step-1", "c/step-7", "only"):
        make(name)
    names = [found.name for found in search(tmp_path).models]
    assert names == ["a/best", "a/step-1", "b/best", "b/step-1", "c/step-7", "only"]


def test_environments_and_hidden_folders_are_skipped(make: Make, tmp_path: Path) -> None:
    """Models of packages are not those of the repository."""
    for name in (".git/a", ".exleak/a", "node_modules/a", "env/a", "conda/a", "x/site-packages/a"):
        make(name)
    (tmp_path / "env" / "pyvenv.cfg").touch()
    (tmp_path / "conda" / "conda-meta").mkdir()
    assert paths(tmp_path) == []


def test_the_search_has_a_depth(make: Make, tmp_path: Path) -> None:
    """0 is the folder itself, which may be a checkpoint."""
    make("a")
    make("b/c")
    make("1/2/3/4/5")
    make("1/2/3/4/5/6")
    assert paths(tmp_path, depth=0) == ["a"]
    assert paths(tmp_path, depth=1) == ["a", "b/c"]
    assert paths(tmp_path) == ["1/2/3/4/5", "a", "b/c"]
    make(".")
    assert search(tmp_path, depth=0).models[0] == Found(tmp_path.name, ".")


def test_links_are_followed_once(make: Make, tmp_path: Path) -> None:
    """Also those in a circle; a checkpoint has its own name, not a link's."""
    make("runs/step-5")
    (tmp_path / "latest").symlink_to("runs/step-5")
    (tmp_path / "runs" / "up").symlink_to(tmp_path)
    outside = tmp_path.with_name(f"{tmp_path.name}-outside")
    make(outside / "far")
    (tmp_path / "data").symlink_to(outside)
    assert paths(tmp_path) == ["data/far", "runs/step-5"]


def test_no_folder_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Links to the folder itself would multiply the work at every level."""
    read: list[Path] = []

    def none_in(place: Path) -> list[Path]:
        read.append(place)
        return []

    monkeypatch.setattr(searching, "checkpoints_in", none_in)
    for name in "abc":
        (tmp_path / name).symlink_to(tmp_path)
    assert paths(tmp_path) == []
    assert read == [tmp_path]


def test_what_cannot_be_measured_is_said(make: Make, tmp_path: Path) -> None:
    """Not yet written, another kind of model, no model of transformers."""
    (tmp_path / "step-1").mkdir()
    make("judge", architectures=["BertForSequenceClassification"])
    (make("unet") / "config.json").write_text('{"_class_name": "UNet"}')
    (make("torn") / "config.json").write_text("{")
    make("seen", architectures=["LlavaForConditionalGeneration"])
    (tmp_path / "step-2").mkdir()
    make("step-2/hf")
    found = search(tmp_path)
    assert [model.path for model in found.models] == ["seen", "step-2/hf"]
    assert found.left_out == {
        "judge": "BertForSequenceClassification does not write text",
        "step-1": "no config.json",
        "torn": found.left_out["torn"],
        "unet": "its config.json names no architecture: no checkpoint of transformers",
    }
    assert "not JSON" in found.left_out["torn"]


def test_gguf_files_and_adapters_are_found(make: Make, tmp_path: Path) -> None:
    """Whatever can be measured."""
    (tmp_path / "a.gguf").touch()
    (make("lora") / "config.json").unlink()
    (tmp_path / "lora" / "adapter_config.json").write_text("{}")
    assert paths(tmp_path) == ["a.gguf", "lora"]


def test_a_name_that_is_no_text_is_left_out(make: Make, tmp_path: Path) -> None:
    """TOML is UTF-8."""
    try:
        make(os.fsdecode(b"a\xff"))
    except OSError:
        pytest.skip("this file system has UTF-8 names alone")
    found = search(tmp_path)
    assert found.models == ()
    assert "rename it" in next(iter(found.left_out.values()))


def test_folders_that_cannot_be_searched(tmp_path: Path) -> None:
    """Both say what is expected."""
    with pytest.raises(SettingsError, match="no such folder"):
        search(tmp_path / "nowhere")
    with pytest.raises(SettingsError, match="--depth -1"):
        search(tmp_path, depth=-1)
