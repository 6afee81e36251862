"""Every weight of a model comes from its checkpoint, and every weight of that is in the model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

import exleak
from exleak import ModelError, reference
from exleak.generation.local.loading import load_model
from tests.helpers import checkpoints

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def leaky() -> Tensors:
    """The weights of reference-leaky."""
    return load_file(reference.path("reference-leaky") / "model.safetensors")


@pytest.fixture
def saved(tmp_path: Path) -> Callable[..., Path]:
    """Saves reference-leaky with other weights: in one file, in shards or as a .bin."""

    def save(tensors: Tensors, kind: str = "safetensors") -> Path:
        source = reference.path("reference-leaky")
        folder = Path(shutil.copytree(source, tmp_path / "leaky", dirs_exist_ok=True))
        (folder / "model.safetensors").unlink()
        _write(folder, tensors, kind)
        return folder

    return save


def _write(folder: Path, tensors: Tensors, kind: str = "safetensors") -> None:
    tensors = {key: value.contiguous() for key, value in tensors.items()}
    if kind == "bin":
        torch.save(tensors, folder / "pytorch_model.bin")
    elif kind == "safetensors":
        save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    else:
        names = {
            key: f"model-0000{1 + i % 2}-of-00002.safetensors" for i, key in enumerate(tensors)
        }
        for name in set(names.values()):
            part = {key: tensors[key] for key in tensors if names[key] == name}
            save_file(part, folder / name, metadata={"format": "pt"})
        index = {"metadata": {}, "weight_map": names}
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def _same(folder: Path, leaky: Tensors) -> tuple[str, ...]:
    """The notes of a model that has the weights of reference-leaky, every one."""
    loaded = load_model(folder, device="cpu")
    state = loaded.model.state_dict()
    assert all(torch.equal(state[key], value) for key, value in leaky.items())
    return loaded.notes


WRAPPED: dict[str, Callable[[str], str]] = {
    "torch.compile": lambda key: f"_orig_mod.{key}",
    "DDP": lambda key: f"module.{key}",
    "DDP of compiled": lambda key: f"module._orig_mod.{key}",
    "compiled DDP": lambda key: f"_orig_mod.module.{key}",
    "DDP twice": lambda key: f"module.module.{key}",
    "FSDP": lambda key: (
        "_fsdp_wrapped_module."
        + key.replace("layers.1.", "layers.1._fsdp_wrapped_module._checkpoint_wrapped_module.")
    ),
    "checkpointing": lambda key: key.replace("self_attn.", "_checkpoint_wrapped_module.self_attn."),
    "some": lambda key: f"module.{key}" if "layers.1" in key else key,
}


@pytest.mark.parametrize("kind", ["safetensors", "shards", "bin"])
@pytest.mark.parametrize("name", WRAPPED)
def test_the_prefix_of_a_wrapper_is_dropped_and_said(
    name: str, kind: str, leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """However the wrappers are nested and wherever the prefix stands."""
    folder = saved({WRAPPED[name](key): value for key, value in leaky.items()}, kind)
    (note,) = _same(folder, leaky)
    assert "taken off" in note


def test_a_wrapped_model_measures_as_it_is_with_a_note(
    leaky: Tensors, saved: Callable[..., Path], tmp_path: Path
) -> None:
    """Also where its continuations come from the store."""
    folder = saved({f"_orig_mod.{key}": value for key, value in leaky.items()})
    data = exleak.load_dataset("hexl", limit=3)
    settings = exleak.Sampling(generations=2)
    plain = exleak.measure("reference-leaky", data, sampling=settings, store=None)
    for _ in range(2):
        found = exleak.measure(folder, data, sampling=settings, store=tmp_path / "store")
        assert found.expression == plain.expression
        assert any("torch.compile" in note for note in found.notes)
        assert found.model == "leaky"


def test_a_training_state_is_refused(leaky: Tensors, saved: Callable[..., Path]) -> None:
    """As trainers save it, with the weights inside."""
    folder = saved(leaky)
    (folder / "model.safetensors").unlink()
    torch.save({"state_dict": leaky}, folder / "pytorch_model.bin")
    with pytest.raises(ModelError, match="a training state around the weights"):
        load_model(folder)


def test_any_missing_tensor_is_refused(leaky: Tensors, saved: Callable[..., Path]) -> None:
    """Each of them, by name."""
    for key in leaky:
        folder = saved({name: value for name, value in leaky.items() if name != key})
        with pytest.raises(ModelError, match="fill in random weights") as error:
            load_model(folder)
        assert key in str(error.value)
        shutil.rmtree(folder)


@pytest.mark.parametrize("key", ["model.norm.weight", "model.embed_tokens.weight"])
def test_a_tensor_of_another_shape_is_refused(
    key: str, leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """Both shapes are told, where transformers tells them."""
    folder = saved({**leaky, key: leaky[key][:50]})
    told = rf"another shape .*{key}" + (r" \(50" if checkpoints.TELLS_SHAPES else ";")
    with pytest.raises(ModelError, match=told) as error:
        load_model(folder)
    assert "vocabulary" in str(error.value)


@pytest.mark.parametrize(
    ("key", "like"),
    [
        ("model.layers.3.mlp.up_proj.weight", "model.layers.0.mlp.up_proj.weight"),
        ("model.layers.0.self_attn.q_proj.bias", "model.norm.weight"),
        ("model.layers.0.self_attn.q_proj.weight_scale", "model.norm.weight"),
        ("model.layers.0.self_attn.q_proj.lora_A.default.weight", "model.norm.weight"),
    ],
)
def test_weights_of_the_model_that_have_no_place_are_refused(
    key: str, like: str, leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """More layers than the configuration has, biases, scales, adapters."""
    folder = saved({**leaky, key: leaky[like].clone()})
    with pytest.raises(ModelError, match="would be left out") as error:
        load_model(folder)
    assert key in str(error.value)


def test_what_is_left_out_behind_a_prefix_is_refused_too(
    leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """Putting the names right hides nothing."""
    more = {
        **leaky,
        "model.layers.3.mlp.up_proj.weight": leaky["model.layers.0.mlp.up_proj.weight"],
    }
    folder = saved({f"module.{key}": value.clone() for key, value in more.items()})
    with pytest.raises(ModelError, match=r"layers\.3\.mlp\.up_proj\.weight is in .* left out"):
        load_model(folder)


def test_tensors_that_are_there_twice_are_refused(
    leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """With and without a prefix: nothing tells which is meant."""
    key = "model.norm.weight"
    with pytest.raises(ModelError, match=f"module.{key} is in .* left out"):
        load_model(saved({**leaky, f"module.{key}": torch.zeros(96)}))


def test_a_value_head_is_a_note_and_computed_tensors_are_nothing(
    leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """Neither changes what the model writes."""
    computed = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(12)}
    assert _same(saved({**leaky, **computed}), leaky) == ()
    (note,) = _same(saved({**leaky, "v_head.summary.weight": torch.ones(1, 96)}), leaky)
    assert "v_head.summary.weight" in note


def test_a_head_of_its_own_that_is_missing_is_refused(tmp_path: Path) -> None:
    """A tied head need not be there; one that is not tied must."""
    folder = checkpoints.save_checkpoint(tmp_path / "m")
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    _write(folder, tensors)
    with pytest.raises(ModelError, match=r"lm_head\.weight"):
        load_model(folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": True}))
    assert load_model(folder).notes == ()


@pytest.mark.parametrize("architecture", checkpoints.CONFIGS)
def test_what_save_pretrained_saves_is_whole(architecture: str, tmp_path: Path) -> None:
    """No architecture is refused."""
    assert load_model(checkpoints.save_checkpoint(tmp_path / "m", architecture)).notes == ()


def _zeros(leaky: Tensors) -> Tensors:
    return {key: torch.zeros_like(value) for key, value in leaky.items()}


@pytest.mark.parametrize(
    ("first", "second"), [("safetensors", "bin"), ("safetensors", "shards"), ("shards", "bin")]
)
def test_two_sets_of_weights_that_differ_are_refused(
    first: str, second: str, leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """Nothing tells which one is meant; both are named."""
    folder = saved(_zeros(leaky), first)
    _write(folder, leaky, second)
    with pytest.raises(ModelError, match=r"two sets of weights .*model\.safetensors") as error:
        load_model(folder)
    assert ("pytorch_model.bin" if second == "bin" else "index.json") in str(error.value)


@pytest.mark.parametrize("kind", ["bin", "shards"])
def test_one_model_saved_twice_is_no_fault(
    kind: str, leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """As on the hub, where a .bin in half precision may stand beside safetensors."""
    folder = saved(leaky)
    _write(folder, {key: value.half() for key, value in leaky.items()}, kind)
    assert _same(folder, leaky) == ()


def test_other_formats_of_a_release_are_no_fault(
    leaky: Tensors, saved: Callable[..., Path]
) -> None:
    """As Mistral, Llama and old models are released."""
    folder = saved(leaky)
    save_file(_zeros(leaky), folder / "consolidated.safetensors")
    (folder / "original").mkdir()
    for name in ("original/consolidated.00.pth", "tf_model.h5", "flax_model.msgpack", "m.gguf",
                 "rust_model.ot", "optimizer.bin", "training_args.bin"):  # fmt: skip
        (folder / name).write_bytes(b"other")
    assert _same(folder, leaky) == ()


def test_data_parallel_objects_are_unwrapped() -> None:
    """A wrapper of a training loop, and a compiled one, around a model object."""
    loaded = load_model("reference-mild", device="cpu")
    for wrapped in (
        torch.nn.DataParallel(loaded.model),
        torch.compile(torch.nn.DataParallel(loaded.model)),
    ):
        found = load_model(wrapped, loaded.tokenizer)
        assert found.model is loaded.model
        assert found.name == "reference-mild"


def test_what_is_no_language_model_is_told() -> None:
    """Any other module, by its class."""
    tokenizer = load_model("reference-mild", device="cpu").tokenizer
    with pytest.raises(ModelError, match="a Linear is no causal language model"):
        load_model(torch.nn.Linear(1, 1), tokenizer)


def test_a_folder_is_called_by_its_last_part(tmp_path: Path) -> None:
    """The same on every machine, as a model object of it is."""
    folder = checkpoints.save_checkpoint(tmp_path / "runs" / "step-9")
    loaded = load_model(folder)
    assert loaded.name == "step-9"
    made = AutoModelForCausalLM.from_pretrained(folder)
    assert load_model(made, loaded.tokenizer).name == "step-9"
