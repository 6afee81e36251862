"""Which files a model's name stands for, and what its generations are stored under."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from exleak import Loading, ModelError, SettingsError, Template, load_model
from exleak.generation.local.checkpoint import Files, checkpoint_of
from exleak.generation.local.source import CheckpointSource
from exleak.generation.sampling import Sampling
from exleak.store import Store
from tests.helpers import checkpoints


def adapter_folder(folder: Path, base: object, **more: object) -> Path:
    """A folder that looks like an adapter's; its weights cannot be loaded."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"base_model_name_or_path": base and str(base), "peft_type": "LORA", **more}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "adapter_model.safetensors").write_bytes(b"x")
    return folder


def key(path: object, store: Path, **settings: Any) -> dict[str, Any]:
    """What the generations of a model are stored under."""
    source = CheckpointSource("m", str(path), device="cpu", **settings)
    return source.about(Sampling(), Store(store))


def test_an_adapter_is_found_with_the_base_that_it_names(llama: Path, tmp_path: Path) -> None:
    """Also where the base is another one: as an option, or before a colon."""
    folder = adapter_folder(tmp_path / "lora", llama)
    found = checkpoint_of(folder)
    assert (found.weights.name, found.adapter and found.adapter.name) == (str(llama), str(folder))
    other = Path(shutil.copytree(llama, tmp_path / "other"))
    for again in (
        checkpoint_of(folder, Loading(base=str(other))),
        checkpoint_of(f"{other}:{folder}"),
    ):
        assert again.weights.name == str(other)
        assert again.adapter is not None
        assert again.adapter.name == str(folder)


def test_a_base_beside_the_adapter_is_found(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named by a relative path, as a folder that was copied as a whole."""
    monkeypatch.chdir(tmp_path)  # where "../base" is nothing
    shutil.copytree(llama, tmp_path / "base")
    folder = adapter_folder(tmp_path / "lora", "../base")
    assert Path(checkpoint_of(folder).weights.name).resolve() == tmp_path / "base"


def test_a_base_on_the_hub_has_the_revision_that_the_adapter_names(tmp_path: Path) -> None:
    """Without a network nothing is asked: it is loaded later."""
    folder = adapter_folder(tmp_path / "lora", "org/base", revision="v2")
    assert checkpoint_of(folder).weights.arguments == {"revision": "v2"}


@pytest.mark.parametrize(
    ("base", "message"),
    [
        ("/home/someone/else/base", r"its base model '/home/.*--leakage-base .*BASE:ADAPTER"),
        (None, "names no base model; name it: --leakage-base"),
    ],
)
def test_a_base_that_is_not_here_is_told(base: str | None, message: str, tmp_path: Path) -> None:
    """As where the adapter was trained on another machine."""
    with pytest.raises(ModelError, match=message):
        checkpoint_of(adapter_folder(tmp_path / "lora", base))


def test_an_adapter_without_weights_is_refused(llama: Path, tmp_path: Path) -> None:
    """A copy that broke off."""
    folder = adapter_folder(tmp_path / "lora", llama)
    (folder / "adapter_model.safetensors").unlink()
    with pytest.raises(ModelError, match="an adapter without weights"):
        checkpoint_of(folder)


def test_a_base_for_what_is_no_adapter_is_refused(llama: Path) -> None:
    """It would be measured without the weights that the user means."""
    with pytest.raises(ModelError, match="this is no adapter"):
        checkpoint_of(llama, Loading(base=str(llama)))


def test_a_revision_is_of_the_hub(llama: Path, tmp_path: Path) -> None:
    """A folder has none, unless its name has the sign."""
    with pytest.raises(ModelError, match="has no revision v2"):
        checkpoint_of(f"{llama}@v2")
    named = Path(shutil.copytree(llama, tmp_path / "model@v2"))
    assert checkpoint_of(named).weights.name == str(named)
    assert checkpoint_of("org/model@refs/pr/1").weights.revision == "refs/pr/1"


def test_a_revision_is_loaded_and_has_its_own_key(
    llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two revisions in the hub's cache are two models."""
    cache = tmp_path / "cache"
    checkpoints.use_cache(cache, monkeypatch)
    shutil.copytree(llama, checkpoints.snapshot(cache, "org/name"), dirs_exist_ok=True)
    other = checkpoints.snapshot(cache, "org/name", "step-2")
    checkpoints.save_checkpoint(other, seed=1)
    keys = [key(name, tmp_path) for name in ("org/name", "org/name@main", "org/name@step-2")]
    assert keys[0] == keys[1] != keys[2]
    loaded = load_model("org/name@step-2", device="cpu")
    assert loaded.name == "org/name@step-2"
    plain = load_model(llama, device="cpu")
    one, two = (model.model.get_input_embeddings().weight for model in (loaded, plain))
    assert not one.equal(two)


def test_a_subfolder_is_loaded(llama: Path, tmp_path: Path) -> None:
    """The folder above it is no checkpoint."""
    shutil.copytree(llama, tmp_path / "run" / "final")
    loading = Loading(arguments={"subfolder": "final"})
    assert load_model(tmp_path / "run", loading=loading, device="cpu").tokenizer.eos_token_id == 257
    assert key(tmp_path / "run", tmp_path, loading=loading) == key(llama, tmp_path)
    with pytest.raises(ModelError, match="no subfolder other"):
        checkpoint_of(tmp_path / "run", Loading(arguments={"subfolder": "other"}))


def test_another_tokenizer_is_used_and_keyed(llama: Path, tmp_path: Path) -> None:
    """By its content."""
    chat = checkpoints.save_checkpoint(tmp_path / "chat", chat=True)
    loading = Loading(tokenizer=str(chat))
    assert load_model(llama, device="cpu").chat is False
    assert load_model(llama, loading=loading, device="cpu").chat is True
    found = key(llama, tmp_path, loading=loading)
    assert found["tokenizer"] != key(llama, tmp_path, loading=Loading(tokenizer=str(llama)))


def test_arguments_are_keyed_and_reach_transformers(llama: Path, tmp_path: Path) -> None:
    """One that transformers does not know is an error in its words."""
    loading = Loading(arguments={"attn_implementation": "eager"})
    assert key(llama, tmp_path, loading=loading)["load"] == {"attn_implementation": "eager"}
    model = load_model(llama, loading=loading, device="cpu").model
    assert model.config._attn_implementation == "eager"
    with pytest.raises(ModelError, match="no_such_argument"):
        load_model(llama, loading=Loading(arguments={"no_such_argument": 1}), device="cpu")


@pytest.mark.parametrize(
    ("name", "instead"), [("torch_dtype", "dtype"), ("device_map", "device"), ("revision", "@")]
)
def test_an_argument_with_a_setting_of_its_own_is_refused(name: str, instead: str) -> None:
    """Two ways to say one thing could contradict each other."""
    with pytest.raises(SettingsError, match=f"{name} is not set there, but with .*{instead}"):
        Loading(arguments={name: "x"})


def test_code_of_a_checkpoint_is_run_only_if_it_is_trusted(llama: Path, tmp_path: Path) -> None:
    """And is then part of the key."""
    folder = Path(shutil.copytree(llama, tmp_path / "own"))
    config = json.loads((folder / "config.json").read_text())
    auto = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.OwnModel"}
    config |= {"model_type": "own", "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(config))
    code = folder / "own.py"
    code.write_text(
        "from transformers import LlamaConfig, LlamaForCausalLM\n"
        "class OwnConfig(LlamaConfig):\n    model_type = 'own'\n"
        "class OwnModel(LlamaForCausalLM):\n    config_class = OwnConfig\n"
    )
    with pytest.raises(ModelError, match="--leakage-trust-remote-code"):
        load_model(folder, device="cpu")
    trusted = Loading(trust_remote_code=True)
    assert type(load_model(folder, loading=trusted, device="cpu").model).__name__ == "OwnModel"
    before = key(folder, tmp_path, loading=trusted)
    code.write_text(code.read_text() + "# changed\n")
    assert key(folder, tmp_path, loading=trusted) != before


@pytest.mark.parametrize("method", ["gptq", "awq", "compressed-tensors", "bitsandbytes", "hqq"])
def test_a_quantised_checkpoint_without_its_package_is_one_clear_error(
    method: str, llama: Path, tmp_path: Path
) -> None:
    """It names the method and the package."""
    folder = Path(shutil.copytree(llama, tmp_path / method))
    config = json.loads((folder / "config.json").read_text())
    abouts: dict[str, dict[str, Any]] = {
        "gptq": {"bits": 4, "group_size": 32},
        "awq": {"bits": 4, "group_size": 32, "version": "gemm"},
        "compressed-tensors": {"format": "int-quantized", "config_groups": {}},
        "bitsandbytes": {"load_in_8bit": True},
        "hqq": {"skip_modules": ["lm_head"], "quant_config": {}},
    }
    config["quantization_config"] = {"quant_method": method, **abouts[method]}
    (folder / "config.json").write_text(json.dumps(config))
    assert checkpoint_of(folder).quantised == method
    package = {"gptq": "optimum|gptqmodel", "awq": "gptqmodel", "hqq": "hqq"}.get(
        method, method.replace("-", ".")
    )
    with pytest.raises(ModelError, match=rf"quantised with {method}\).*(?i:{package})") as error:
        load_model(folder, device="cpu")
    assert "\n" not in str(error.value)


def test_a_quantised_checkpoint_keeps_its_dtype(llama: Path, tmp_path: Path) -> None:
    """Unless one is asked for; also where the method is in the arguments."""
    loading = Loading(arguments={"quantization_config": {"load_in_8bit": True}})
    assert checkpoint_of(llama, loading).quantised == "bitsandbytes"
    assert key(llama, tmp_path, loading=loading)["dtype"] == "auto"
    assert key(llama, tmp_path, loading=loading, dtype="bfloat16")["dtype"] == "bfloat16"
    assert key(llama, tmp_path)["dtype"] == "float32"


def test_a_file_that_is_no_gguf_is_refused(tmp_path: Path) -> None:
    """By its first bytes."""
    path = tmp_path / "model.gguf"
    path.write_bytes(b"text")
    with pytest.raises(ModelError, match="does not begin as a GGUF file"):
        checkpoint_of(path)
    path.write_bytes(b"GGUF...")
    assert checkpoint_of(path).weights.arguments == {"gguf_file": "model.gguf"}


def test_the_template_is_part_of_the_key(llama: Path, tmp_path: Path) -> None:
    """System prompt and variables; a store from before they existed stays good."""
    plain = key(llama, tmp_path)
    assert "template" not in plain
    assert "load" not in plain
    calm = key(llama, tmp_path, template=Template("Be calm."))
    assert calm["template"] == {"system": "Be calm."}
    assert key(llama, tmp_path, template=Template(None, {"a": 1})) not in (plain, calm)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("out/latest", "; in out/ there is: step-9, step-10; a model of that name on the hub is "
                       "out/latest@main"),
        ("./out/latest", "; in out/ there is: step-9, step-10"),
        ("out/run/latest", "; in out/ there is: step-9, step-10"),
        ("org/model:out/lora", " out/lora; in out/ there is: step-9, step-10; a model of that "
                               "name on the hub is out/lora@main"),
        ("/nowhere/latest", ""),
    ],
)  # fmt: skip
def test_a_missing_folder_is_told_with_what_is_there(
    name: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A path is not looked for on the hub, which would say nothing of the folder."""
    monkeypatch.chdir(tmp_path)
    for folder in ("step-10", "step-9", ".tmp"):
        (tmp_path / "out" / folder).mkdir(parents=True)
    with pytest.raises(ModelError) as error:
        checkpoint_of(name)
    assert str(error.value) == f"model {name}: there is no such folder{said}"


def test_a_name_on_the_hub_is_not_taken_for_a_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without such a folder, with a revision, or as the base that an adapter was trained on."""
    monkeypatch.chdir(tmp_path)
    assert checkpoint_of("org/model").weights == Files("org/model")
    (tmp_path / "org").mkdir()
    assert checkpoint_of("org/model@main").weights == Files("org/model", "main")
    folder = adapter_folder(tmp_path / "lora", "org/model")
    assert checkpoint_of(folder).weights == Files("org/model")
