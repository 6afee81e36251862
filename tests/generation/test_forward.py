"""What a model is shown: the fastest form that gives what it gives by itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch.utils._python_dispatch import TorchDispatchMode

from exleak import Sampling
from exleak.generation.local.engine import Engine
from exleak.generation.local.forward import cache_name, forward_of
from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Continued, Request
from tests.helpers import checkpoints

PROMPTS = ["Complete the sentence: The soup", "A", "The long way home was", "She said that 1, 2"]
SHORT = Sampling(generations=3, max_new_tokens=24)
VERSION = tuple(map(int, transformers.__version__.split(".")[:2]))
FORMS = {
    "llama": (True, True, True),
    "qwen2": (True, True, True),
    "gpt2": (True, True, True),
    "gpt_neox": (True, True, True),
    # Its attention goes through the interface since 5.24.
    "gptj": (True, True, VERSION >= (5, 24)),
    "mistral": (True, False, False),
    "gemma2": (True, False, False),
    "gpt_neo": (False, False, False),
    "falcon": (True, False, False),
    # transformers 4 computes this one without its interface for attention.
    "falcon_rotary": (True, True, VERSION < (5, 0)),
}


def run(model: LocalModel, size: int | None = None) -> set[Continued]:
    """Every continuation."""
    requests = [Request(prompt, (0, 1, 2)) for prompt in PROMPTS]
    return set(continue_prompts(model, requests, SHORT, batch_size=size))


@pytest.mark.parametrize("architecture", FORMS)
def test_each_architecture_has_its_form(architecture: str, tmp_path: Path) -> None:
    """All columns, a ready mask, attention exchanged: where the architecture can do with it."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    form = forward_of(model)
    assert form is not None
    assert (form.whole, form.ready_mask, form.batched) == FORMS[architecture]


@pytest.mark.parametrize("architecture", ["mamba", "bloom"])
def test_rows_that_cannot_be_kept_apart_have_none(architecture: str, tmp_path: Path) -> None:
    """Other caches than of keys and values, and models that count tokens by their cache."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))
    assert forward_of(model) is None


class Changing(checkpoints.Wrapper):
    """A model whose forward pass does something to its arguments first."""

    def __init__(self, inner: Any, change: Callable[[dict[str, Any]], None]) -> None:
        super().__init__(inner)
        self.change = change

    def forward(self, position_ids: Any = None, **arguments: Any) -> Any:
        """What the inner model says to the changed arguments."""
        arguments["position_ids"] = position_ids
        self.change(arguments)
        return self.inner(**arguments)


def wrapped(model: LocalModel, change: Callable[[dict[str, Any]], None]) -> LocalModel:
    """The same model behind a wrapper."""
    return load_model(Changing(model.model, change), model.tokenizer, chat="never")


def refuse(arguments: dict[str, Any]) -> None:
    """As models do that unpack the shape of a mask."""
    _rows, _columns = arguments["attention_mask"].shape


def overlook(arguments: dict[str, Any]) -> None:
    """As models do that take a mask for something else."""
    if arguments["attention_mask"].ndim == 4:
        arguments["attention_mask"] = None


@pytest.mark.parametrize("change", [refuse, overlook])
def test_a_model_that_takes_no_ready_mask_gets_one_to_extend(
    change: Callable[[dict[str, Any]], None], llama_model: LocalModel
) -> None:
    """Whether it says so, or says nothing and gives other logits."""
    model = wrapped(llama_model, change)
    form = forward_of(model)
    assert form is not None
    assert form.whole
    assert not form.ready_mask
    assert run(model) == run(model, 2) == run(llama_model)


def forget(arguments: dict[str, Any]) -> None:
    """As models do that count tokens by their cache."""
    cache = arguments.get("past_key_values", arguments.get("cache"))
    if cache and cache.get_seq_length():
        arguments["position_ids"] = None


def test_a_model_that_does_not_do_as_told_is_generated_plainly(llama_model: LocalModel) -> None:
    """It takes positions, but does not heed them."""
    model = wrapped(llama_model, forget)
    assert forward_of(model) is None
    with pytest.warns(UserWarning, match="cannot be refilled"):
        run(model)


@pytest.mark.parametrize("value", [-1e4, -torch.inf])
def test_tokens_that_are_ruled_out_do_not_hide_a_difference(
    value: float, llama_model: LocalModel
) -> None:
    """Some models give the unused end of their vocabulary very low logits, or none."""
    hook = llama_model.model.register_forward_hook(
        lambda module, given, output: output.logits[..., 280:].fill_(value) is None or output
    )
    try:
        form = forward_of(wrapped(llama_model, overlook))
        assert form is not None
        assert not form.ready_mask
        assert forward_of(wrapped(llama_model, forget)) is None
        sound = forward_of(llama_model)
        assert sound is not None
        assert sound.batched
    finally:
        hook.remove()


def test_the_cache_has_the_name_that_the_model_knows(llama_model: LocalModel) -> None:
    """``cache`` since transformers 5.24, where the old name is a warning that may be an error."""

    class Renamed(checkpoints.Wrapper):
        def forward(self, position_ids: Any = None, cache: Any = None, **arguments: Any) -> Any:
            """As the inner model, which may know the old name only."""
            assert "past_key_values" not in arguments
            name = cache_name(self.inner)
            return self.inner(position_ids=position_ids, **{name: cache}, **arguments)

    assert cache_name(llama_model.model) == ("cache" if VERSION >= (5, 24) else "past_key_values")
    model = load_model(Renamed(llama_model.model), llama_model.tokenizer, chat="never")
    form = forward_of(model)
    assert form is not None
    assert form.cache_name == "cache"
    assert run(model) == run(llama_model)


class Waits(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Notes what has to wait for the device: values and shapes that depend on data."""

    names = frozenset({"_local_scalar_dense", "nonzero", "masked_select", "equal", "is_nonzero"})

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note and go on."""
        name = func.overloadpacket.__name__
        by_mask = name in ("index", "index_put_", "_index_put_impl_") and any(
            index is not None and index.dtype == torch.bool for index in args[1]
        )
        if name in self.names or by_mask:
            self.found.append(name)
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_step_waits_for_the_drawn_tokens_alone(
    dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a GPU every other look at a tensor's values would let it run dry once a token."""
    waits: list[str] = []
    step = Engine._step

    def watched(self: Engine) -> list[Continued]:
        with Waits() as mode:
            found = step(self)
        waits.extend(mode.found)
        return found

    monkeypatch.setattr(Engine, "_step", watched)
    model = load_model(checkpoints.save_checkpoint(tmp_path), dtype=dtype)
    assert len(run(model)) == len(PROMPTS) * SHORT.generations
    assert waits == []
