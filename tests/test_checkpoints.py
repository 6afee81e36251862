"""Checkpoint folders of a training: their order, and which are written to the end."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import pytest

from exleak import reference
from exleak.checkpoints import (
    Completion,
    TrainerState,
    checkpoints_in,
    contents,
    incomplete,
    step_of,
    trainer_state,
)
from exleak.model_names import natural


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A complete checkpoint without trainer_state.json."""
    shutil.copytree(reference.path("clean"), tmp_path / "checkpoint-10")
    return tmp_path / "checkpoint-10"


def state(folder: Path, text: str = '{"global_step": 10, "max_steps": 20}') -> None:
    """Write trainer_state.json."""
    (folder / "trainer_state.json").write_text(text)


def test_numbers_sort_as_numbers() -> None:
    """Also several in one name."""
    steps = ["epoch-1-step-10", "epoch-1-step-9", "epoch-10-step-1"]
    assert sorted(steps, key=natural) == [steps[1], steps[0], steps[2]]


def test_checkpoints_are_found_by_name_or_configuration(folder: Path) -> None:
    """What is renamed later, what is hidden, and what is something else is not."""
    parent = folder.parent
    for name in ("checkpoint-9", "step_11", "tmp-checkpoint-12", ".checkpoint-13", "runs", "best"):
        (parent / name).mkdir()
    (parent / "best" / "config.json").write_text("{}")
    (parent / "config.json").write_text("{}")
    found = [path.name for path in checkpoints_in(parent)]
    assert found == ["best", "checkpoint-9", "checkpoint-10", "step_11"]
    assert checkpoints_in(parent / "nowhere") == []


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"global_step": "10"}', '{"global_step": 1'])
def test_a_half_written_state_is_none(folder: Path, text: str) -> None:
    """The trainer writes it in place."""
    state(folder, text)
    assert trainer_state(folder) is None


def test_the_state_tells_the_step_and_the_end(folder: Path) -> None:
    """Without it the name tells the step."""
    assert step_of(folder) == 10
    assert step_of(folder.with_name("best")) is None
    state(folder, '{"global_step": 12, "max_steps": 12}')
    assert (step_of(folder), trainer_state(folder)) == (12, TrainerState(12, 12))
    assert TrainerState(12, 12).is_over
    assert not TrainerState(12, 13).is_over
    state(folder, '{"global_step": 12, "max_steps": -1}')
    assert trainer_state(folder) == TrainerState(12, None)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("config", "no config.json"),
        ("weights", "no weights yet"),
        ("end", "model.safetensors is not written to the end"),
        ("header", "model.safetensors is not written to the end"),
        ("shard", "some of its weights are not there yet"),
        ("index", "some of its weights are not there yet"),
    ],
)
def test_what_is_missing_is_named(folder: Path, missing: str, said: str) -> None:
    """A part of the files, or of one."""
    weights = folder / "model.safetensors"
    assert incomplete(folder) is None
    if missing == "config":
        (folder / "config.json").unlink()
    elif missing == "weights":
        weights.unlink()
    elif missing in ("end", "header"):
        weights.write_bytes(weights.read_bytes()[: -1 if missing == "end" else 5])
    else:
        shards = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        weights.rename(folder / shards[0])
        if missing == "shard":
            index = {"weight_map": dict(zip("ab", shards, strict=True))}
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert incomplete(folder) == said


def test_the_trainers_state_ends_the_waiting(folder: Path) -> None:
    """However young the files are; but not if a part is missing."""
    completion = Completion(30.0, lambda: folder.stat().st_mtime)
    assert "no trainer_state.json" in (completion.missing(folder) or "")
    state(folder)
    assert completion.missing(folder) is None
    (folder / "config.json").unlink()
    assert completion.missing(folder) == "no config.json"


def test_what_does_not_change_for_long_is_complete(folder: Path) -> None:
    """By the files' own times, or where those are ahead of the clock, by those of the watch."""
    now = max(path.stat().st_mtime for path in (*folder.iterdir(), folder)) + 31
    assert Completion(30.0, lambda: now).missing(folder) is None
    for path in (*folder.iterdir(), folder):
        os.utime(path, (now + 1000, now + 1000))
    completion = Completion(30.0, lambda: now)
    assert completion.missing(folder) is not None
    now += 29
    assert completion.missing(folder) is not None
    (folder / "more.txt").write_text("")
    now += 29
    assert completion.missing(folder) is not None
    now += 31
    assert completion.missing(folder) is None


def test_an_empty_folder_is_complete_after_a_while_and_a_deleted_one_never(tmp_path: Path) -> None:
    """A trainer that was killed may have left it; measuring it tells what is wrong."""
    (tmp_path / "step-1").mkdir()
    assert Completion(30.0, time.time).missing(tmp_path / "step-1") == "no config.json"
    late = Completion(30.0, lambda: time.time() + 31)
    assert late.missing(tmp_path / "step-1") is None
    assert late.missing(tmp_path / "step-2") == "it is gone"
    assert contents(tmp_path / "step-2") == frozenset()
