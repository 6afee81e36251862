"""A training of a few steps with transformers' Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, Trainer, TrainingArguments

TEXTS = ("The soup was cold today.", "We felt glad that the road was long.") * 4
#: A check of a few seconds: 12 prompts, 2 continuations each.
SMALL: dict[str, Any] = {"limit": 3, "sampling": {"generations": 2, "max_new_tokens": 8}}


def trainer(
    checkpoint: Path,
    folder: Path,
    callbacks: Sequence[Any] = (),
    *,
    dropout: float = 0,
    **given: Any,
) -> Trainer:
    """A Trainer that evaluates after every second of four steps, on the CPU.

    Args:
        checkpoint: The checkpoint to train.
        folder: The output folder.
        callbacks: Callbacks to hand over.
        dropout: Dropout in the attention, so that steps depend on torch's random numbers.
        given: Arguments that differ.
    """
    usual: dict[str, Any] = {
        "max_steps": 4, "eval_strategy": "steps", "eval_steps": 2, "save_strategy": "no",
        "logging_steps": 1, "report_to": [], "use_cpu": True, "per_device_train_batch_size": 2,
        "learning_rate": 1e-3, "disable_tqdm": True,
    }  # fmt: skip
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_pretrained(checkpoint, attention_dropout=dropout)
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    rows = [tokenizer(text)["input_ids"] for text in TEXTS]
    return Trainer(
        model,
        TrainingArguments(str(folder), **{**usual, **given}),
        train_dataset=rows,
        eval_dataset=rows[:2],
        data_collator=padded,
        processing_class=tokenizer,
        callbacks=list(callbacks),
    )


def padded(rows: Sequence[Sequence[int]]) -> dict[str, torch.Tensor]:
    """A batch whose labels are its tokens."""
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row in rows])
    there = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": there, "labels": ids.masked_fill(there == 0, -100)}
