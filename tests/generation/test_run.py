"""A run: models in any state continue prompts, and what cannot be run is one error."""

from __future__ import annotations

import inspect
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    PreTrainedModel,
)

import exleak
from exleak import ModelError, SettingsError
from exleak.generation.local.loading import load_model
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request
from tests.helpers import checkpoints
from tests.helpers.runs import PROMPTS, SHORT, run


class Adapted(checkpoints.Wrapper):
    """An adapter after the manner of PEFT, which hides the parameters of the model in it."""

    def get_base_model(self) -> PreTrainedModel:
        """The model without the adapter."""
        return self.inner

    def forward(self, **arguments: Any) -> Any:
        """What the inner model says."""
        return self.inner(**arguments)


def test_a_wrapped_model_continues_at_the_right_positions(llama: Path) -> None:
    """An adapter that does nothing changes nothing, however few rows are made at once."""
    plain = load_model(llama)
    expected = run(plain, PROMPTS)
    for wrapped in (Adapted(plain.model), torch.compile(plain.model, backend="eager")):
        model = load_model(wrapped, plain.tokenizer, chat="never")
        for size in (1, 3, 640):
            assert run(model, PROMPTS, batch_size=size) == expected


def test_a_model_in_training_stays_in_training(llama: Path) -> None:
    """Dropout is off while continuations are made, and each module is left as it was."""
    loaded = load_model(llama)
    model = loaded.model.train()
    frozen = model.get_input_embeddings().eval()
    given = load_model(model, loaded.tokenizer)
    assert run(given, PROMPTS[:1]) == run(load_model(llama), PROMPTS[:1])
    assert model.training
    assert not frozen.training


def test_generation_is_silent(llama: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Loading and generating print nothing and warn of nothing."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        exleak.generate(llama, PROMPTS[:1], SHORT)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("size", [0, -1, 2.5, "7"])
def test_a_batch_has_at_least_one_row(size: Any, llama: Path) -> None:
    """Nothing is taken for automatic but ``None``."""
    with pytest.raises(SettingsError, match=f"from 1 on, or None, not {size!r}"):
        exleak.generate(llama, PROMPTS, SHORT, batch_size=size)
    with pytest.raises(SettingsError, match="batch_size must be a whole number"):
        exleak.measure(str(llama), batch_size=size, store=None)


def test_one_text_is_no_list_of_prompts(llama: Path) -> None:
    """It would be continued letter by letter."""
    with pytest.raises(SettingsError, match=r"not one text: \['The soup'\]"):
        exleak.generate(llama, "The soup", SHORT)


@pytest.mark.parametrize("size", [None, 2])
@pytest.mark.parametrize("architecture", ["llama", "bloom"])
@pytest.mark.filterwarnings("ignore:.*cannot be refilled")
def test_a_model_that_does_not_run_is_one_error(
    architecture: str, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it says is in the message, with what it is."""
    model = load_model(checkpoints.save_checkpoint(tmp_path, architecture))

    def forward(*arguments: Any, **named: Any) -> Any:
        raise TypeError("missing 'pixel_values'")

    forward.__signature__ = inspect.signature(model.model.forward)  # type: ignore[attr-defined]
    monkeypatch.setattr(model.model, "forward", forward)
    with pytest.raises(ModelError, match=r"a few tokens .*\(TypeError: missing 'pixel_"):
        run(model, PROMPTS, batch_size=size)


def test_nothing_asked_is_nothing_done(llama: Path) -> None:
    """No prompts, or none of whose continuations anything is wanted."""
    assert exleak.generate(llama, [], SHORT) == []
    assert list(continue_prompts(load_model(llama), [Request("a", ())], SHORT)) == []
