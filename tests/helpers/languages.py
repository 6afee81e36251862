"""Tiny random checkpoints in the form of the multilingual instrument's, and a German instrument."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaForSequenceClassification,
)

from exleak.scoring import MULTILINGUAL_CHECKPOINT, MULTILINGUAL_ENCODER, Instrument
from tests.helpers.checkpoints import snapshot
from tests.helpers.instruments import Topics, Words

_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_SIZE: dict[str, Any] = {
    "vocab_size": 260,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "max_position_embeddings": 200,
    "pad_token_id": 1,
    "initializer_range": 1.0,
}


def _tokenizer() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer without merges; texts begin and end with a special token."""
    pieces = [*_SPECIAL, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    base = Tokenizer(models.BPE(vocab={piece: i for i, piece in enumerate(pieces)}, merges=[]))
    base.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    base.decoder = decoders.ByteLevel()
    base.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=base, bos_token="<s>", pad_token="<pad>", eos_token="</s>"
    )


def save_classifier(folder: Path) -> None:
    """A tiny random XLM-RoBERTa with the labels of the multilingual classifier."""
    torch.manual_seed(0)
    labels = {0: "negative", 1: "neutral", 2: "positive"}
    config = XLMRobertaConfig(**_SIZE, num_labels=3, id2label=labels, type_vocab_size=1)
    XLMRobertaForSequenceClassification(config).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)


def save_encoder(folder: Path, *, pooling: str = "mean_tokens", further: str | None = None) -> None:
    """A tiny random BERT with the files of sentence-transformers.

    Args:
        folder: Where to.
        pooling: How it says it pools.
        further: Another module after the pooling.
    """
    torch.manual_seed(1)
    BertModel(BertConfig(**_SIZE)).save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    names = {"Transformer": "", "Pooling": "1_Pooling", **({further: "2_More"} if further else {})}
    modules = [
        {"path": path, "type": f"sentence_transformers.models.{name}"}
        for name, path in names.items()
    ]
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling").mkdir()
    modes = {"pooling_mode_cls_token": False, f"pooling_mode_{pooling}": True}
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(modes))


def fill_cache(cache: Path) -> None:
    """Put stand-ins for both checkpoints of the multilingual instrument into a hub cache."""
    save_classifier(snapshot(cache, MULTILINGUAL_CHECKPOINT))
    save_encoder(snapshot(cache, MULTILINGUAL_ENCODER))


class GermanWords(Topics):
    """Reads the class off two German words, and the topic off "sea" and "train"."""

    hash = "german words"
    languages = ("de",)

    def predict(self, texts: Any) -> Any:
        """As of the English words, shape (n, 3)."""
        return super().predict([t.replace("froh", "good").replace("trüb", "bad") for t in texts])


class EveryTopic(Topics):
    """The same embeddings, said to be of two languages."""

    languages = ("de", "en")


GERMAN = Instrument("german words", GermanWords(), EveryTopic())
#: English moods; embeddings of German and English.
CROSS = Instrument("cross", type("EnglishWords", (Words,), {"languages": ("en",)})(), EveryTopic())
