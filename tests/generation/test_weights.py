"""Weights that did not load, folders that are not what they seem, and who a checkpoint is."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

import exleak
from exleak import ModelError, reference
from exleak.environment import difference
from exleak.generation.local.loading import load_model
from exleak.records import Dataset
from exleak.store.identity import checkpoint_hash
from tests.helpers import checkpoints

State = dict[str, torch.Tensor]


@pytest.fixture
def leaky(tmp_path: Path) -> Path:
    """A copy of the leaky reference model."""
    folder = tmp_path / "step-1"
    shutil.copytree(reference.path("reference-leaky"), folder)
    return folder


def rewrite(folder: Path, change: Callable[[State], State]) -> None:
    """Save the weights anew, changed."""
    state = change(load_file(folder / "model.safetensors"))
    save_file(state, folder / "model.safetensors", metadata={"format": "pt"})


def inside(part: str) -> Callable[[str], str]:
    """A wrapper around the second layer alone."""
    return lambda key: key.replace("layers.1.", f"layers.1.{part}.")


RENAMED: dict[str, Callable[[str], str]] = {
    "torch.compile": lambda key: f"_orig_mod.{key}",
    "DDP": lambda key: f"module.{key}",
    "compiled DDP": lambda key: f"module._orig_mod.{key}",
    "FSDP": lambda key: f"_fsdp_wrapped_module.{key}",
    "checkpointing": inside("_checkpoint_wrapped_module"),
    "FSDP of a layer": inside("_fsdp_wrapped_module"),
    "Lightning and compile": lambda key: f"model._orig_mod.{key}",
    "a class around it": lambda key: f"policy.{key}",
    "twice": lambda key: f"actor.module.{key}",
    "some of them": lambda key: f"module.{key}" if "layers.0" in key else key,
}


@pytest.mark.parametrize("how", RENAMED)
def test_wrappers_around_the_names_are_taken_off_and_noted(leaky: Path, how: str) -> None:
    """The same logits as the model that was saved, and a note."""
    known = load_model("reference-leaky", device="cpu")
    rewrite(leaky, lambda state: {RENAMED[how](key): value for key, value in state.items()})
    found = load_model(leaky, device="cpu")
    ids = torch.tensor([known.encode("Complete the sentence: The soup was")])
    with torch.inference_mode():
        assert torch.equal(found.model(ids).logits, known.model(ids).logits)
    assert "was taken off" in found.notes[0]


def test_the_note_is_in_the_report_also_of_what_was_stored(leaky: Path, tmp_path: Path) -> None:
    """.95 as it leaks, not .45 of random weights; the second run loads nothing."""
    rewrite(leaky, lambda state: {f"module.{key}": value for key, value in state.items()})
    for _ in range(2):
        found = exleak.measure(
            leaky, sampling=exleak.Sampling(generations=3), store=tmp_path / "s", device="cpu"
        )
        assert (found.expression.directional.rate or 0) > 0.7
        assert any("was taken off" in note for note in found.notes)


BROKEN: dict[str, tuple[Callable[[State], State], str]] = {
    "missing": (
        lambda s: {k: v for k, v in s.items() if "1.mlp.up_proj" not in k},
        "layers.1.mlp.up_proj.weight is not in the checkpoint",
    ),
    "renamed": (
        lambda s: {k.replace("mlp", "ffn"): v for k, v in s.items()},
        "The files have other names, such as model.layers.0.ffn",
    ),
    "shape": (
        lambda s: {k: v[:-1].contiguous() if "1.mlp.up_proj" in k else v for k, v in s.items()},
        r"1 weights have another shape than config.json says: model.layers.1.mlp.up_proj.weight"
        + (r" \(255×96 in the file, 256×96 in the model\)" if checkpoints.TELLS_SHAPES else ";"),
    ),
    "prefixed and missing": (
        lambda s: {f"module.{k}": v for k, v in s.items() if "1.mlp.up_proj" not in k},
        "is not in the checkpoint|are not in the checkpoint",
    ),
    "adapter": (
        lambda s: {
            f"base_model.model.{k}".replace("q_proj.", "q_proj.base_layer."): v
            for k, v in s.items()
        },
        "merge_and_unload",
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_weights_that_did_not_load_are_refused(leaky: Path, how: str) -> None:
    """Named, with the likely cause; never measured with random numbers in their place."""
    change, message = BROKEN[how]
    rewrite(leaky, change)
    with pytest.raises(ModelError, match=message):
        load_model(leaky, device="cpu")


def test_a_missing_output_layer_is_a_fault_only_where_it_is_not_tied(leaky: Path) -> None:
    """The reference models tie theirs to the embedding, and do not save it."""
    config = json.loads((leaky / "config.json").read_text())
    (leaky / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    with pytest.raises(ModelError, match=r"lm_head\.weight is not in the checkpoint"):
        load_model(leaky, device="cpu")


def test_what_the_model_does_not_use_is_noted(leaky: Path) -> None:
    """A value head of a trainer, for example."""
    rewrite(leaky, lambda state: {**state, "v_head.weight": torch.ones(3)})
    assert "v_head.weight is in the checkpoint, but not" in load_model(leaky, device="cpu").notes[0]


@pytest.mark.parametrize(
    "file",
    ["generation_config.json", "tokenizer_config.json", "config.json"],
)
@pytest.mark.parametrize("text", ['{"eos_token_id": [2, 3', "[1]", ""])
def test_torn_files_are_refused(leaky: Path, file: str, text: str) -> None:
    """Not ignored: the list of what ends a text is in one of them."""
    (leaky / file).write_text(text)
    with pytest.raises(ModelError, match=rf"{file} (is not JSON|holds)"):
        load_model(leaky, device="cpu")


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json"])
def test_pointers_of_git_lfs_are_told(leaky: Path, file: str) -> None:
    """With the command that fetches the files."""
    text = "version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 12\n"
    (leaky / file).write_text(text)
    with pytest.raises(ModelError, match=rf"{file} is a pointer of Git LFS.*git lfs pull"):
        load_model(leaky, device="cpu")


def test_a_shard_that_is_missing_is_named(leaky: Path) -> None:
    """The index says which there should be."""
    files = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (leaky / "model.safetensors").rename(leaky / files["a"])
    index = leaky / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": files}))
    with pytest.raises(ModelError, match=r"model-00002-of-00002\.safetensors is not there"):
        load_model(leaky, device="cpu")


def test_errors_of_loading_are_whole_and_in_one_line(leaky: Path) -> None:
    """Also where the library's message begins with an empty line."""
    (leaky / "tokenizer.json").write_text('{"model": {"type": "Nonsense"}}')
    with pytest.raises(ModelError) as error:
        load_model(leaky, device="cpu")
    said = str(error.value)
    assert "\n" not in said
    assert said.endswith("KeyError: 'added_tokens'")


def test_content_replaced_behind_an_old_time_stamp_is_another_checkpoint(
    leaky: Path, tmp_path: Path
) -> None:
    """As ``rsync -t`` and container layers replace it: size, times and name are the same."""
    weights, memo = leaky / "model.safetensors", tmp_path / "memo.json"
    os.utime(weights, (315532800, 315532800))
    for _ in range(30):  # the memo keeps only what has settled
        before = checkpoint_hash(leaky, memo)
        known = json.loads(memo.read_text()) if memo.exists() else {}
        if any("model.safetensors" in key for key in known):
            break
        time.sleep(0.1)
    else:
        pytest.fail("the hash was never remembered")
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    with weights.open("r+b") as file:  # the same inode
        file.write(content)
    os.utime(weights, (315532800, 315532800))
    assert checkpoint_hash(leaky, memo) != before


def test_a_wrapped_model_object_is_measured() -> None:
    """DataParallel and DDP keep the model in ``module``."""
    known = load_model("reference-clean", device="cpu")
    wrapped: Any = torch.nn.DataParallel(known.model)
    found = load_model(wrapped, known.tokenizer)
    assert found.model is known.model


def test_versions_belong_to_what_was_stored() -> None:
    """Other versions than today's are told; the same ones are not."""
    here = {"transformers": "5.23.0", "torch": "2.13.0"}
    assert difference([here], here) is None
    assert difference([], here) is None
    said = difference([{**here, "transformers": "5.20.0"}, here], here)
    assert said == (
        "the continuations are stored ones, made with transformers 5.20.0 and 5.23.0 (here 5.23.0)"
    )


def test_a_report_names_the_versions_that_made_its_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment is that of the continuations, and the difference a note."""
    arguments: dict[str, Any] = {
        "dataset": exleak.load_dataset("hexl", limit=3), "store": tmp_path, "device": "cpu",
        "sampling": exleak.Sampling(generations=2),
    }  # fmt: skip
    monkeypatch.setattr("exleak.generation.local.source.makers", lambda: {"transformers": "5.20.0"})
    exleak.measure("reference-clean", **arguments)
    monkeypatch.setattr("exleak.generation.local.source.makers", lambda: {"transformers": "5.23.0"})
    found = exleak.measure("reference-clean", **arguments)
    assert found.environment["packages"]["transformers"] == "5.20.0"
    assert any("made with transformers 5.20.0 (here 5.23.0)" in note for note in found.notes)


def test_versions_are_those_of_the_continuations_that_are_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two parts of one store, made with different versions, also after they were merged."""
    few, more = exleak.load_dataset("hexl", limit=2), exleak.load_dataset("hexl", limit=4)
    rest = replace(more, samples=more.samples[2:])

    def found(data: Dataset, version: str) -> tuple[str, list[str]]:
        monkeypatch.setattr(
            "exleak.generation.local.source.makers", lambda: {"transformers": version}
        )
        made = exleak.measure(
            "reference-clean", data, store=tmp_path, device="cpu",
            sampling=exleak.Sampling(generations=2),
        )  # fmt: skip
        notes = [note for note in made.notes if "stored ones" in note]
        return made.environment["packages"]["transformers"], notes

    assert found(few, "5.20.0") == ("5.20.0", [])
    assert found(rest, "5.23.0") == ("5.23.0", [])
    version, (note,) = found(few, "5.23.0")
    assert version == "5.20.0"
    assert "made with transformers 5.20.0 (here 5.23.0)" in note
    version, (note,) = found(more, "5.23.0")
    assert version == "5.20.0, 5.23.0"
    assert "5.20.0 and 5.23.0" in note
