"""A checkpoint folder with a file that cannot be used is refused, in one line that says why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from exleak import ModelError, reference
from exleak.generation.local.checkpoint import checkpoint_of
from exleak.generation.local.folder import check_end_of_text
from exleak.generation.local.loading import load_model


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of reference-chat, to be damaged."""
    return Path(shutil.copytree(reference.path("reference-chat"), tmp_path / "chat"))


@pytest.mark.parametrize(
    "name",
    ["config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json",
     "added_tokens.json"],
)  # fmt: skip
@pytest.mark.parametrize("content", ['{"eos_token_id": [', "[]", "", "\ufffd", "null"])
def test_settings_that_cannot_be_read_are_refused(name: str, content: str, folder: Path) -> None:
    """Torn, empty or of another type: transformers would go on without some of them."""
    (folder / name).write_text(content)
    with pytest.raises(ModelError, match=name) as error:
        checkpoint_of(folder)
    assert "\n" not in str(error.value)


def test_bytes_that_are_no_text_are_refused(folder: Path) -> None:
    """As of a file of another kind."""
    (folder / "generation_config.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ModelError, match=r"generation_config\.json is not JSON"):
        checkpoint_of(folder)


@pytest.mark.parametrize("value", ["2", [2, "3"], 2.5, True, {"a": 2}])
@pytest.mark.parametrize("name", ["config.json", "generation_config.json"])
def test_token_ids_of_other_types_are_refused(name: str, value: object, folder: Path) -> None:
    """The end-of-text list is used or refused, never dropped."""
    found = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps({**found, "eos_token_id": value}))
    with pytest.raises(ModelError, match=f"eos_token_id of {name} is .* no token id"):
        checkpoint_of(folder)


def test_the_end_of_text_list_is_used(folder: Path) -> None:
    """A list in the place of an id."""
    path = folder / "generation_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "eos_token_id": [3, 7]}))
    assert {3, 7} <= load_model(folder, device="cpu").stop_tokens


def test_a_generation_config_that_transformers_drops_is_told(folder: Path) -> None:
    """Whatever its reason is: the end-of-text list would be lost."""
    path = folder / "generation_config.json"
    path.write_text(json.dumps({"eos_token_id": [3, 7]}))
    check_end_of_text(folder, [3, 7], "m")
    with pytest.raises(ModelError, match=r"model m: .* eos_token_id is \[3, 7\] there and 3 in"):
        check_end_of_text(folder, 3, "m")
    path.write_text("{}")
    check_end_of_text(folder, 3, "m")


@pytest.mark.parametrize(
    "name",
    ["model.safetensors", "tokenizer.json", "config.json", "generation_config.json",
     "chat_template.jinja", "tokenizer.model"],
)  # fmt: skip
def test_a_git_lfs_pointer_is_told(name: str, folder: Path) -> None:
    """With the command that fetches the file."""
    (folder / name).write_text(
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{'ab' * 32}\nsize 12345\n"
    )
    with pytest.raises(ModelError, match=f"{name} is a pointer of Git LFS.*git lfs pull"):
        checkpoint_of(folder)


def test_an_index_that_is_torn_or_names_what_is_not_there_is_told(folder: Path) -> None:
    """By the index and the files."""
    index = folder / "model.safetensors.index.json"
    (folder / "model.safetensors").unlink()
    for content in ('{"weight_map": {', "[]", "{}", '{"weight_map": {"a": 1}}'):
        index.write_text(content)
        with pytest.raises(ModelError, match=r"index\.json"):
            checkpoint_of(folder)
    index.write_text('{"weight_map": {"a": "model-00001-of-00002.safetensors"}}')
    with pytest.raises(ModelError, match=r"names 1 files of weights, .* not there"):
        checkpoint_of(folder)


def test_an_adapter_beside_weights_is_refused(folder: Path) -> None:
    """Which of them transformers loads depends on whether PEFT is installed."""
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"an adapter .* beside the weights"):
        checkpoint_of(folder)


def test_a_missing_tokenizer_is_told_in_one_whole_line(folder: Path) -> None:
    """The reason that transformers gives has several lines, of which the first may be empty."""
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    with pytest.raises(ModelError, match=r"cannot be loaded from its folder: .{40}") as error:
        load_model(folder)
    assert "\n" not in str(error.value)
    assert "tokenizer" in str(error.value)
