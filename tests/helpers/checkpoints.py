"""Tiny random checkpoints, made where a test needs them."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    AutoModelForCausalLM,
    BartConfig,
    BloomConfig,
    FalconConfig,
    Gemma2Config,
    GPT2Config,
    GPTJConfig,
    GPTNeoConfig,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MiniMaxConfig,
    MistralConfig,
    Phi3Config,
    PreTrainedTokenizerFast,
    Qwen2Config,
    RwkvConfig,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
    "</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
#: After the manner of Llama 3: a system turn with the date comes before everything else.
LLAMA_TEMPLATE = (
    "{{ bos_token }}<|start_header_id|>system<|end_header_id|>\n\n"
    "Today: {{ strftime_now('%d %b %Y') }}<|eot_id|>"
    "{% for message in messages %}<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
#: After the manner of Qwen2.5: a system turn of the template's own, no BOS.
QWEN_TEMPLATE = (
    "<|im_start|>system\nYou answer questions.<|im_end|>\n"
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_WORDS = (
    "the", "a", "so", "soup", "road", "work", "was", "it", "today", "glad.", "happy.", "lovely.",
    "great.", "fun.", "sad.", "awful.", "terrible.", "bad.", "dull.", "made.", "felt.", "there.",
)  # fmt: skip
#: transformers 4 names a weight of another shape, 5 tells both shapes.
TELLS_SHAPES = int(transformers.__version__.partition(".")[0]) >= 5
_SIZE = {"vocab_size": 300, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
_LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GROUPED = {**_LAYERS, "intermediate_size": 64, "num_key_value_heads": 2}

_FACTORS = {"short_factor": [1.0] * 4, "long_factor": [4.0] * 4}
_LONG_ROPE: dict[str, Any] = (
    {"rope_scaling": {"type": "longrope", **_FACTORS}}
    if transformers.__version__.startswith("4.")
    else {"rope_parameters": {"rope_type": "longrope", "rope_theta": 10000.0, **_FACTORS}}
)

CONFIGS: dict[str, Any] = {
    "llama": LlamaConfig(**_SIZE, **_GROUPED),
    "qwen2": Qwen2Config(**_SIZE, **_GROUPED),
    "gpt2": GPT2Config(**_SIZE, n_embd=32, n_layer=2, n_head=4, n_positions=512),
    "gpt_neox": GPTNeoXConfig(**_SIZE, **_LAYERS, intermediate_size=64),
    "mistral": MistralConfig(**_SIZE, **_GROUPED, sliding_window=48),
    "gemma2": Gemma2Config(**_SIZE, **_GROUPED, head_dim=8, sliding_window=16),
    "gpt_neo": GPTNeoConfig(
        **_SIZE,
        hidden_size=32,
        num_layers=2,
        num_heads=4,
        window_size=8,
        attention_types=[[["global", "local"], 1]],
        max_position_embeddings=512,
    ),
    "gptj": GPTJConfig(**_SIZE, n_embd=32, n_layer=2, n_head=4, rotary_dim=4, n_positions=512),
    "falcon": FalconConfig(
        **_SIZE,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        alibi=True,
    ),
    "falcon_rotary": FalconConfig(
        **_SIZE, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
    ),
    "bloom": BloomConfig(**_SIZE, hidden_size=32, n_layer=2, n_head=4),
    "bart": BartConfig(
        **_SIZE,
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        max_position_embeddings=40,
        is_decoder=True,
        is_encoder_decoder=False,
    ),
    "phi3": Phi3Config(
        **_SIZE,
        **_GROUPED,
        max_position_embeddings=256,
        original_max_position_embeddings=40,
        **_LONG_ROPE,
    ),
    "rwkv": RwkvConfig(**_SIZE, hidden_size=32, num_hidden_layers=2, attention_hidden_size=32),
    "minimax": MiniMaxConfig(
        **_SIZE,
        **_GROUPED,
        head_dim=8,
        num_local_experts=2,
        layer_types=["full_attention", "full_attention"],
    ),
    "mamba": MambaConfig(**_SIZE, hidden_size=32, num_hidden_layers=2, state_size=4),
}
if hasattr(transformers, "Gemma4TextConfig"):  # from 5.5 on
    CONFIGS["gemma4"] = transformers.Gemma4TextConfig(
        **_SIZE,
        **_GROUPED,
        head_dim=8,
        global_head_dim=16,
        layer_types=["sliding_attention", "full_attention"],
        hidden_size_per_layer_input=0,
    )


def tokenizer(chat: bool = False) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges: one token per byte, and three special tokens."""
    vocabulary = {piece: i for i, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    vocabulary |= {"<s>": 256, "</s>": 257, "<pad>": 258}
    vocabulary |= {f"<unused{i}>": i for i in range(259, 300)}
    base = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    made = PreTrainedTokenizerFast(
        tokenizer_object=base, bos_token="<s>", eos_token="</s>", pad_token="<pad>"
    )
    if chat:
        made.chat_template = CHAT_TEMPLATE
    return made


def family_tokenizer(family: str, *, instruct: bool) -> PreTrainedTokenizerFast:
    """A byte tokenizer with the special tokens, BOS and template of a family's models.

    Llama: BOS before every text, a template in the instruct models alone. Qwen: no BOS, a template
    in all of them.
    """
    bos = "<|begin_of_text|>" if family == "Llama" else None
    names = {
        "Llama": ["<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"],
        "Qwen": ["<|endoftext|>", "<|im_end|>", "<|im_start|>"],
    }[family]
    vocabulary = {piece: i for i, piece in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    words = [f"Ġ{word}" for word in _WORDS]
    vocabulary |= {name: 256 + i for i, name in enumerate([*names, *words])}
    vocabulary |= {f"<unused{i}>": i for i in range(len(vocabulary), 300)}
    base = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    if bos:
        base.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])]
        )
    made = PreTrainedTokenizerFast(
        tokenizer_object=base,
        bos_token=bos,
        eos_token=names[1] if instruct else names[0],
        pad_token=names[0],
        additional_special_tokens=names,
    )
    if family == "Qwen" or instruct:
        made.chat_template = LLAMA_TEMPLATE if family == "Llama" else QWEN_TEMPLATE
    return made


def save_stand_in(folder: Path, family: str, *, instruct: bool, seed: int) -> Path:
    """Save a tiny random checkpoint in the place of a model of the paper."""
    made = family_tokenizer(family, instruct=instruct)
    config = CONFIGS["llama" if family == "Llama" else "qwen2"]
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
        # It writes words, many with a full stop, so that there are short sentences to score.
        scale = torch.zeros(config.vocab_size, 1)
        scale[[made.convert_tokens_to_ids(word) for word in [f"Ġ{word}" for word in _WORDS]]] = 8.0
        model.get_output_embeddings().weight.mul_(scale)
    model.generation_config.eos_token_id = made.eos_token_id
    model.generation_config.bos_token_id = made.bos_token_id
    model.save_pretrained(folder)
    made.save_pretrained(folder)
    return folder


def save_checkpoint(
    folder: Path, architecture: str = "llama", *, chat: bool = False, seed: int = 0
) -> Path:
    """Save a checkpoint with random weights and a byte tokenizer."""
    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_config(CONFIGS[architecture])
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
    model.save_pretrained(folder)
    tokenizer(chat).save_pretrained(folder)
    return folder


class Wrapper(torch.nn.Module):
    """A model around another one, with all that it has."""

    def __init__(self, inner: Any) -> None:
        super().__init__()
        self.inner = inner

    def __getattr__(self, name: str) -> Any:
        """Everything else is the inner model's."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("inner"), name)


def snapshot(cache: Path, name: str, revision: str = "main") -> Path:
    """The folder of a hub name in a cache laid out like the hub's, made if it is not there."""
    home = cache / f"models--{name.replace('/', '--')}"
    commit = "0" * 40 if revision == "main" else hashlib.sha1(revision.encode()).hexdigest()
    (home / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
    (home / "refs" / revision).write_text(commit)
    folder = home / "snapshots" / commit
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def use_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make hub names be looked for in this cache, and nowhere else."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.file_download.HF_HUB_CACHE", str(cache), raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
