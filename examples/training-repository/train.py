"""Fine-tune a small model on moody text, with its leakage in the training's log.

    python train.py

The base model is ``reference-clean``, which comes with exleak and writes in a mood of its own. The
text is what ``reference-leaky`` writes, which takes over the mood of the sentence before.
"""

from __future__ import annotations

import argparse

from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

import exleak
from exleak.integrations.transformers import LeakageCallback
from exleak.reference import path

BASE, OUT = path("reference-clean"), "runs/moody"


def texts(samples: int) -> list[str]:
    """Prompts of sentences with a mood, and continuations in that mood."""
    data = exleak.load_dataset("hexl", limit=samples)
    prompts = [
        f"{data.instruction}: {sentence} {other.control}"
        for sample in data.samples
        for sentence in (sample.negative, sample.positive)
        for other in data.samples
    ]
    settings = exleak.Sampling(generations=4, max_new_tokens=24)
    written = exleak.generate("reference-leaky", prompts, settings, first_sentence_only=True)
    return [
        prompt + text for prompt, several in zip(prompts, written, strict=True) for text in several
    ]


def trainer(tokenizer: PreTrainedTokenizerBase, samples: int, steps: int) -> Trainer:
    """A Trainer that saves three checkpoints, and measures the leakage of each."""
    leakage = LeakageCallback(limit=samples, sampling={"generations": 4}, when="save")
    return Trainer(
        AutoModelForCausalLM.from_pretrained(BASE),
        TrainingArguments(
            OUT,
            max_steps=steps,
            save_steps=max(1, steps // 3),
            logging_steps=max(1, steps // 3),
            per_device_train_batch_size=32,
            learning_rate=3e-3,
            use_cpu=True,
            report_to=[],
        ),
        train_dataset=[tokenizer(text) for text in texts(samples)],
        data_collator=DataCollatorForLanguageModeling(tokenizer, mlm=False),
        processing_class=tokenizer,
        callbacks=[leakage],
    )


def main() -> None:
    """Train, and print loss and directional leakage rate by step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--steps", type=int, default=120, help="training steps (default: 120)")
    parser.add_argument("--samples", type=int, default=12, help="of HEXL (default: 12)")
    options = parser.parse_args()
    training = trainer(AutoTokenizer.from_pretrained(BASE), options.samples, options.steps)
    training.train()
    for entry in training.state.log_history:
        for name in ("loss", "eval_leakage_directional"):
            if name in entry:
                print(f"step {entry['step']:4}  {name} {entry[name]:.3f}")


if __name__ == "__main__":
    main()
