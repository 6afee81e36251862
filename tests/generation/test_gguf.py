"""A GGUF file is measured like the checkpoint that it was made from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from gguf import GGUFWriter
from transformers import AutoModelForCausalLM

import exleak
from exleak import ModelError, Sampling, load_model
from exleak.generation.local.source import CheckpointSource
from exleak.store import Store
from tests.helpers import checkpoints

_NAMES = {
    "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}  # fmt: skip


def write_gguf(path: Path, checkpoint: Path) -> None:
    """The tiny Llama as a GGUF file, in float32."""
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    config, tokenizer = model.config, checkpoints.tokenizer(True)
    writer = GGUFWriter(path, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.head_dim)
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    known = sorted(tokenizer.get_vocab(), key=tokenizer.get_vocab().__getitem__)
    unused = [f"<unused{i}>" for i in range(config.vocab_size - len(known) - 1)]
    writer.add_token_list([*known, "th", *unused])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(config.bos_token_id)
    writer.add_eos_token_id(config.eos_token_id)
    for name, tensor in model.state_dict().items():
        writer.add_tensor(_named(name), _permuted(name, tensor, config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _named(name: str) -> str:
    name = name.removeprefix("model.")
    if name.startswith("layers."):
        _, number, rest = name.split(".", 2)
        part, _, kind = rest.rpartition(".")
        return f"blk.{number}.{_NAMES[part]}.{kind}"
    outer = {"embed_tokens": "token_embd", "norm": "output_norm", "lm_head": "output"}
    return f"{outer[name.removesuffix('.weight')]}.weight"


def _permuted(name: str, tensor: Any, config: Any) -> Any:
    """Query and key in the order of pairs that GGUF has for rotary embeddings."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    for part, count in heads.items():
        if part in name:
            halves = tensor.reshape(count, 2, -1, tensor.shape[1])
            return halves.transpose(1, 2).reshape(tensor.shape).contiguous()
    return tensor


@pytest.fixture
def gguf(llama: Path, tmp_path: Path) -> Path:
    """The file."""
    write_gguf(tmp_path / "tiny.gguf", llama)
    return tmp_path / "tiny.gguf"


def test_it_has_the_weights_of_the_checkpoint(gguf: Path, llama: Path) -> None:
    """The note says that they were dequantised."""
    model, plain = load_model(gguf, device="cpu"), load_model(llama, device="cpu")
    assert model.name == "tiny.gguf"
    assert model.notes == ("the weights of tiny.gguf were dequantised to float32",)
    expected = plain.model.state_dict()
    assert all(tensor.equal(expected[name]) for name, tensor in model.model.state_dict().items())
    sampling = Sampling(generations=2, max_new_tokens=8)
    (texts,) = exleak.generate(model, ["The soup is"], sampling)
    assert len(texts) == 2


def test_its_content_is_the_key(gguf: Path, tmp_path: Path) -> None:
    """Not what else is in its folder, and not its name's folder."""

    def key(path: Path) -> dict[str, Any]:
        return CheckpointSource("m", str(path), device="cpu").about(Sampling(), Store(tmp_path))

    before = key(gguf)
    (tmp_path / "config.json").write_text("{}")
    assert key(gguf) == before
    with gguf.open("ab") as file:
        file.write(b"\0")
    assert key(gguf) != before


def test_without_its_package_one_error_names_it(
    gguf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In transformers' words."""
    monkeypatch.setattr("transformers.modeling_gguf_pytorch_utils.is_gguf_available", lambda: False)
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(ModelError, match=r"tiny\.gguf: .*cannot be loaded.*(?i:gguf)") as error:
        load_model(gguf, device="cpu")
    assert "\n" not in str(error.value)
