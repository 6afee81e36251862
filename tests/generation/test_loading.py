"""Loading: what is no checkpoint is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
)

from exleak import ModelError, SettingsError
from exleak.generation.local.checkpoint import checkpoint_of
from exleak.generation.local.loading import load_model
from tests.helpers import checkpoints
from tests.helpers.progress import heard


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "nowhere", "there is no such folder"),
        (lambda folder: folder, "no config.json"),
        (lambda folder: _file(folder / "weights.bin"), "this is a file"),
        (lambda folder: _file(folder / "config.json", "{}").parent, "no weights"),
        (lambda folder: _file(folder / "config.json", "{").parent, "not JSON"),
    ],
)
def test_what_is_no_checkpoint_is_told(
    make: Callable[[Path], Path], message: str, tmp_path: Path
) -> None:
    """Each kind of wrong path has its own words."""
    with pytest.raises(ModelError, match=message):
        checkpoint_of(make(tmp_path))


def _file(path: Path, text: str = "x") -> Path:
    path.write_text(text)
    return path


def test_a_model_object_needs_a_tokenizer(llama: Path) -> None:
    """The message says how to give one."""
    with pytest.raises(ModelError, match="tokenizer=") as error:
        load_model(AutoModelForCausalLM.from_pretrained(llama))
    assert "measure(model" in str(error.value)


@pytest.mark.parametrize("has_hook", [True, False])
def test_weights_are_told_as_they_are_loaded(
    has_hook: bool, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where transformers has a hook, which is then as before; else only their size."""
    from transformers.utils import logging

    if not has_hook:
        monkeypatch.delattr(logging, "set_tqdm_hook", raising=False)
    elif not hasattr(logging, "set_tqdm_hook"):
        pytest.skip("this version of transformers has no hook")
    calls: list[str] = []

    def theirs(factory: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        calls.append(kwargs["desc"])
        return factory(*args, **kwargs)

    if has_hook:
        logging.set_tqdm_hook(theirs)
    try:
        first, *rest = heard(lambda: load_model(llama))
    finally:
        if has_hook:
            assert logging.set_tqdm_hook(None) is theirs
    weights = sum(path.stat().st_size for path in llama.glob("*.safetensors"))
    assert (first.phase, first.unit, first.count, first.total) == ("loading", "bytes", 0, weights)
    assert bool(rest) == has_hook == bool(calls)
    if rest:
        total = len(load_file(llama / "model.safetensors"))
        assert [done.count for done in rest] == [*range(total + 1)]
        assert {(done.unit, done.total) for done in rest} == {("weights", total)}


def test_an_unreachable_hub_name_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a folder nor in the cache: the message names both."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(ModelError, match="the hub or its cache"):
        load_model("nobody/no-such-model")


def test_a_checkpoint_cut_short_cannot_be_loaded(tmp_path: Path) -> None:
    """A copy that broke off: safetensors raises a type of its own."""
    path = checkpoints.save_checkpoint(tmp_path / "torn")
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="model torn: cannot be loaded from its folder: "):
        load_model(path)


@pytest.mark.parametrize("dtype", ["float33", "int8", "Tensor"])
def test_an_unknown_dtype_is_named(dtype: str, llama: Path) -> None:
    """It is no fault of the checkpoint."""
    with pytest.raises(SettingsError, match=f"dtype '{dtype}' is unknown"):
        load_model(llama, dtype=dtype)
