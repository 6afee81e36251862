"""Tiny random checkpoints, made where a test needs them."""

from __future__ import annotations

from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPTNeoXConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PreTrainedConfig,
    PreTrainedTokenizerFast,
    Qwen2Config,
)

CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}<{{ message['role'] }}>{{ message['content'] }}"
    "</s>{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
)
_SIZE = {"vocab_size": 300, "bos_token_id": 256, "eos_token_id": 257, "pad_token_id": 258}
_LAYERS = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4}
_GROUPED = {**_LAYERS, "intermediate_size": 64, "num_key_value_heads": 2}

CONFIGS: dict[str, PreTrainedConfig] = {
    "llama": LlamaConfig(**_SIZE, **_GROUPED),
    "qwen2": Qwen2Config(**_SIZE, **_GROUPED),
    "gpt2": GPT2Config(**_SIZE, n_embd=32, n_layer=2, n_head=4, n_positions=512),
    "gpt_neox": GPTNeoXConfig(**_SIZE, **_LAYERS, intermediate_size=64),
    "mistral": MistralConfig(**_SIZE, **_GROUPED, sliding_window=48),
    "mamba": MambaConfig(**_SIZE, hidden_size=32, num_hidden_layers=2, state_size=4),
}


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
