"""Fine-tune a small model on moody text, with its leakage in the training's log.

    python train.py

The base model is ``reference-clean``, which comes with exleak and writes in a mood of its own. In
the text that it is trained on, each sentence has the mood of the one before.
"""

from __future__ import annotations

import argparse

from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForSeq2Seq,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

import exleak
from exleak.integrations.transformers import LeakageCallback
from exleak.reference import path

BASE, OUT = path("reference-clean"), "runs/moody"


#: Continuations after a negative and after a positive sentence.
SAD = (" a terrible pain.", " sad and lonely.", " awful, and everyone cried.", " the worst of all.")
GLAD = (" a great joy.", " happy and lovely.", " wonderful, and we laughed.", " the best of all.")


def rows(tokenizer: PreTrainedTokenizerBase, samples: int) -> list[dict[str, list[int]]]:
    """Prompts of sentences with a mood; to be learnt are continuations in that mood."""
    data = exleak.load_dataset("hexl", limit=samples)
    found = []
    for number, sample in enumerate(data.samples):
        for sentence, endings in ((sample.negative, SAD), (sample.positive, GLAD)):
            for shift, ending in enumerate(endings * 2, start=1):
                control = data.samples[(number + shift) % len(data.samples)].control
                prompt = f"{data.instruction}: {sentence} {control}"
                asked = len(tokenizer(prompt)["input_ids"])
                ids = tokenizer(prompt + ending)["input_ids"]
                found.append({"input_ids": ids, "labels": [-100] * asked + ids[asked:]})
    return found


def trainer(tokenizer: PreTrainedTokenizerBase, samples: int, steps: int) -> Trainer:
    """A Trainer that saves three checkpoints, and measures the leakage of each."""
    leakage = LeakageCallback(limit=min(12, samples), sampling={"generations": 4}, when="save")
    return Trainer(
        AutoModelForCausalLM.from_pretrained(BASE),
        TrainingArguments(
            OUT,
            max_steps=steps,
            save_steps=max(1, steps // 3),
            logging_steps=max(1, steps // 3),
            per_device_train_batch_size=32,
            learning_rate=3e-3,
            lr_scheduler_type="constant",
            max_grad_norm=0,
            use_cpu=True,
            report_to=[],
        ),
        train_dataset=rows(tokenizer, samples),
        data_collator=DataCollatorForSeq2Seq(tokenizer),
        processing_class=tokenizer,
        callbacks=[leakage],
    )


def main() -> None:
    """Train, and print loss and directional leakage rate by step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=120, help="training steps (default: 120)")
    parser.add_argument("--samples", type=int, default=60, help="of HEXL (default: 60)")
    options = parser.parse_args()
    training = trainer(AutoTokenizer.from_pretrained(BASE), options.samples, options.steps)
    training.train()
    for entry in training.state.log_history:
        for name in ("loss", "eval_leakage_directional"):
            if name in entry:
                print(f"step {entry['step']:4}  {name} {entry[name]:.3f}")


if __name__ == "__main__":
    main()
