"""Checkpoints of transformers that score texts: how they are loaded, named by content and cut."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal

from exleak.errors import InstrumentError
from exleak.hub import bounded

__all__ = ["content_hash", "load_checkpoint", "max_tokens", "tokenized"]

Kind = Literal["expression", "semantic"]
#: The class of transformers that loads each kind, and what its checkpoints hold.
_LOADERS = {
    "expression": ("AutoModelForSequenceClassification", "a sequence-classification model"),
    "semantic": ("AutoModel", "an encoder of sentence-transformers"),
}


@bounded
def load_checkpoint(name_or_path: str, kind: Kind) -> tuple[Any, Any]:
    """A checkpoint's model, in float32 and ready to score, and its tokenizer.

    Args:
        name_or_path: A folder or a hub name.
        kind: What it scores.

    Raises:
        InstrumentError: It cannot be loaded, or lacks weights.
    """
    import torch
    import transformers

    loader, content = _LOADERS[kind]
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(name_or_path)
        model, loaded = getattr(transformers, loader).from_pretrained(
            name_or_path, dtype=torch.float32, output_loading_info=True
        )
    except Exception as error:
        raise InstrumentError(
            f"The {kind} checkpoint {name_or_path!r} could not be loaded: it is no folder "
            f"with {content}, and neither the Hugging Face hub nor its "
            f"cache has it here ({type(error).__name__}: {str(error).splitlines()[0][:200]}). "
            "Give the path of a downloaded copy, run once with network access, or use "
            '--leakage-instrument embedded (load_instrument("embedded"), English only), which '
            "needs none."
        ) from error
    lost = sorted(map(str, [*loaded["missing_keys"], *loaded["mismatched_keys"]]))
    if kind == "semantic":  # mean pooling does not use BERT's pooler
        lost = [name for name in lost if not name.startswith("pooler.")]
    if lost:
        raise InstrumentError(
            f"{name_or_path!r} has no weights for {', '.join(lost[:5])}: transformers would "
            f"make them up at random. Choose a checkpoint that holds {content}."
        )
    return model.eval(), tokenizer


def content_hash(about: str, model: Any, tokenizer: Any, limit: int) -> str:
    """Hex sha256 over weights, vocabulary and maximum length.

    Args:
        about: What else the scores depend on.
        model: The model.
        tokenizer: Its tokenizer.
        limit: Maximum number of tokens.
    """
    digest = hashlib.sha256(about.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    digest.update(repr(sorted(tokenizer.get_vocab().items())).encode())
    digest.update(str(limit).encode())
    return digest.hexdigest()


def max_tokens(model: Any, tokenizer: Any) -> int:
    """The model's maximum length: its positions, less the two that RoBERTa reserves."""
    positions = int(getattr(model.config, "max_position_embeddings", 512))
    reserved = 2 if "roberta" in str(model.config.model_type) else 0
    return min(positions - reserved, int(tokenizer.model_max_length))


def tokenized(model: Any, tokenizer: Any, texts: Sequence[str], limit: int) -> Any:
    """A model's inputs for texts, on its device: padded, and cut to a number of tokens."""
    inputs = tokenizer(
        list(texts), padding=True, truncation=True, max_length=limit, return_tensors="pt"
    )
    return inputs.to(model.device)
