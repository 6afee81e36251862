"""A LoRA folder is measured as the merged checkpoint is."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import exleak
from exleak import Loading, ModelError, Sampling, load_model
from exleak.generation.local.adapter import NO_EFFECT
from exleak.generation.local.source import CheckpointSource
from exleak.store import Store
from tests.helpers import checkpoints

_PROMPTS = ["The soup is", "It rained today. Her work"]
_LORA: dict[str, Any] = {"r": 4, "target_modules": ["q_proj", "v_proj"], "task_type": "CAUSAL_LM"}


def save_adapter(folder: Path, base: Path, config: Any, *, scale: float = 0.3) -> Any:
    """An adapter with random weights, as after training; the model with it."""
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.requires_grad and "lora_A" not in name:
                parameter.normal_(std=scale)
    model.save_pretrained(str(folder))
    return model


@pytest.fixture
def lora(llama: Path, tmp_path: Path) -> Path:
    """An adapter of the tiny Llama, and the merged checkpoint beside it."""
    model = save_adapter(tmp_path / "lora", llama, LoraConfig(**_LORA))
    model.merge_and_unload().save_pretrained(tmp_path / "merged")
    checkpoints.tokenizer(False).save_pretrained(tmp_path / "merged")
    return tmp_path / "lora"


def texts(path: object, batch_size: int | None = None) -> list[list[str]]:
    """A few continuations of a model."""
    sampling = Sampling(generations=4, max_new_tokens=12)
    model = load_model(str(path), device="cpu")
    return exleak.generate(model, _PROMPTS, sampling, batch_size=batch_size)


def test_an_adapter_writes_what_the_merged_checkpoint_writes(lora: Path, llama: Path) -> None:
    """And not what its base model writes."""
    expected = texts(lora.with_name("merged"))
    assert texts(lora) == texts(f"{llama}:{lora}") == expected
    assert texts(llama) != expected
    assert load_model(lora, device="cpu").notes == ()


def test_an_adapter_without_effect_is_noted(llama: Path, tmp_path: Path) -> None:
    """One that training has not moved: its second matrix is zero."""
    save_adapter(tmp_path / "zero", llama, LoraConfig(**_LORA), scale=0.0)
    model = load_model(tmp_path / "zero", device="cpu")
    assert model.notes == (NO_EFFECT,)


def test_adapter_and_base_are_part_of_the_key(lora: Path, llama: Path, tmp_path: Path) -> None:
    """By content: the path of neither is."""

    def key(path: object, **loading: Any) -> dict[str, Any]:
        source = CheckpointSource("m", str(path), device="cpu", loading=Loading(**loading))
        return source.about(Sampling(), Store(tmp_path / "store"))

    before = key(lora)
    moved = shutil.copytree(lora, tmp_path / "moved")
    other = checkpoints.save_checkpoint(tmp_path / "other", seed=3)
    assert key(moved) == key(f"{llama}:{lora}") == before
    assert key(lora, base=str(other)) != before
    weights = moved / "adapter_model.safetensors"
    save_file({name: 2 * tensor for name, tensor in load_file(weights).items()}, weights)
    assert key(moved) != before


def test_the_adapters_own_tokenizer_is_used(lora: Path) -> None:
    """Trainers save it beside the adapter, with the chat template that was trained."""
    assert load_model(lora, device="cpu").chat is False
    checkpoints.tokenizer(True).save_pretrained(lora)
    assert load_model(lora, device="cpu").chat is True


def test_an_adapter_with_more_embeddings_than_its_base_is_loaded(
    llama: Path, tmp_path: Path
) -> None:
    """Tokens were added before training, so that embeddings were saved with it."""
    model = AutoModelForCausalLM.from_pretrained(llama)
    model.resize_token_embeddings(304)
    config = LoraConfig(**_LORA, modules_to_save=["embed_tokens", "lm_head"])
    get_peft_model(model, config).save_pretrained(str(tmp_path / "lora"))
    loading = Loading(base=str(llama))
    loaded = load_model(tmp_path / "lora", loading=loading, device="cpu")
    assert len(loaded.model.get_input_embeddings().weight) == 304


def test_an_adapter_that_cannot_be_merged_is_measured_as_it_is(llama: Path, tmp_path: Path) -> None:
    """Prompt tuning puts vectors before the prompt."""
    config = PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=4)
    save_adapter(tmp_path / "prompt", llama, config, scale=2.0)
    with pytest.warns(UserWarning, match="plain batches"):
        found, alone = (texts(tmp_path / "prompt", batch_size=size) for size in (None, 1))
    assert found == alone != texts(llama)


@pytest.mark.parametrize("damage", ["other shape", "other base", "left out"])
def test_an_adapter_that_does_not_fit_is_refused(lora: Path, tmp_path: Path, damage: str) -> None:
    """PEFT would go on with new weights for what it does not find."""
    loading = Loading()
    weights = lora / "adapter_model.safetensors"
    tensors = load_file(weights)
    if damage == "other shape":
        save_file(
            {name: tensor[..., :-1].contiguous() for name, tensor in tensors.items()}, weights
        )
    elif damage == "left out":
        save_file(dict(list(tensors.items())[:-1]), weights)
    else:
        loading = Loading(base=str(checkpoints.save_checkpoint(tmp_path / "gpt2", "gpt2")))
    with pytest.raises(ModelError, match="does not fit its base model"):
        load_model(lora, device="cpu", loading=loading)


def test_without_peft_the_error_says_how_to_install_it(
    lora: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what else would do."""
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ModelError, match=r"pip install 'exleak\[adapters\]'.*merge"):
        load_model(lora, device="cpu")
