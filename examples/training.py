"""Fine-tune a model that does not leak on text that does, and watch its leakage rise.

    python examples/training.py out
    exleak watch out --once --limit 12 --generations 4

``reference-clean`` writes in a mood of its own, ``reference-leaky`` in that of the sentence before.
The first is trained on what the second wrote, as a fine-tune on moody text would be. The plot
``out/leakage.svg`` has the rate beside the loss. About two minutes on two cores, no network, no
GPU; needs ``pip install 'exleak[devices,plots]'``.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

import exleak
from exleak.integrations.transformers import attach
from exleak.plotting import load_matplotlib
from exleak.reference import path

#: Samples of HEXL that are measured; the training has their sentences and controls, in other pairs.
SAMPLES = 12


def rows(tokenizer: PreTrainedTokenizerBase) -> list[tuple[list[int], int]]:
    """Token ids of prompts with continuations in the mood of their sentence.

    Returns:
        Pairs of a text's token ids and its prompt's number of tokens.
    """
    data = exleak.load_dataset("hexl", limit=SAMPLES)
    asked = [
        (f"{data.instruction}: {sentence} {other.control}", mood)
        for sample in data.samples
        for sentence, mood in ((sample.negative, 0), (sample.positive, 2))
        for other in data.samples
        if other is not sample
    ]
    settings = exleak.Sampling(generations=6, max_new_tokens=24)
    texts = [prompt for prompt, _ in asked]
    written = exleak.generate("reference-leaky", texts, settings, first_sentence_only=True)
    expression = exleak.load_instrument().expression
    return [
        (tokenizer(prompt + text)["input_ids"], len(tokenizer(prompt)["input_ids"]))
        for (prompt, mood), several in zip(asked, written, strict=True)
        for text, scores in zip(several, expression.predict(several), strict=True)
        if scores[mood] > 0.6
    ]


def collate(batch: Sequence[tuple[list[int], int]]) -> dict[str, torch.Tensor]:
    """A padded batch whose labels are the tokens after the prompt."""
    longest = max(len(ids) for ids, _ in batch)
    ids = torch.tensor([[*row, *[0] * (longest - len(row))] for row, _ in batch])
    columns = torch.arange(longest)
    is_there = columns < torch.tensor([[len(row)] for row, _ in batch])
    is_text = is_there & (columns >= torch.tensor([[length] for _, length in batch]))
    return {
        "input_ids": ids,
        "attention_mask": is_there.long(),
        "labels": ids.masked_fill(~is_text, -100),
    }


def train(out: Path) -> Trainer:
    """Train for 120 steps; leakage is measured, and a checkpoint saved, at every 20th."""
    tokenizer = AutoTokenizer.from_pretrained(path("reference-clean"))
    data = rows(tokenizer)
    trainer = Trainer(
        AutoModelForCausalLM.from_pretrained(path("reference-clean")),
        TrainingArguments(
            str(out),
            max_steps=120,
            per_device_train_batch_size=32,
            learning_rate=3e-3,
            lr_scheduler_type="constant",
            max_grad_norm=0,
            eval_strategy="steps",
            eval_steps=20,
            save_strategy="steps",
            save_steps=20,
            logging_steps=20,
            use_cpu=True,
            report_to=[],
        ),
        train_dataset=data[64:],
        eval_dataset=data[:64],
        data_collator=collate,
        processing_class=tokenizer,
    )
    attach(trainer, limit=SAMPLES, sampling={"generations": 4})
    trainer.train()
    trainer.save_state()
    return trainer


def plot(trainer: Trainer, file: Path) -> None:
    """Loss and directional rate by step."""
    load_matplotlib()
    from matplotlib import pyplot

    figure, left = pyplot.subplots(figsize=(6, 3.2), layout="constrained")
    right = left.twinx()
    for axis, key, colour, name in (
        (left, "eval_loss", "tab:gray", "loss on the moody text"),
        (right, "eval_leakage_directional", "tab:red", "directional leakage rate"),
    ):
        points = [(e["step"], e[key]) for e in trainer.state.log_history if key in e]
        axis.plot(*zip(*points, strict=True), color=colour, marker="o")
        axis.set_ylabel(name, color=colour)
    right.set_ylim(0.4, 1)
    left.set_xlabel("training step")
    figure.savefig(file, metadata={"Date": None})


if __name__ == "__main__":
    folder = Path(sys.argv[1] if len(sys.argv) > 1 else "out")
    plot(train(folder), folder / "leakage.svg")
