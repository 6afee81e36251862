"""Write each packaged model's true rates and model card: `python -m training.cards`."""

import argparse
import json
from collections.abc import Sequence
from typing import Protocol

import torch
from transformers import AutoTokenizer, LlamaForCausalLM

from exleak import load_instrument
from exleak.reference import names as packaged
from exleak.reference import path
from exleak.reference.members import Member, member
from exleak.reference.truth import Pools, Scorer, TrueRates, scored_pools, true_rates
from training.calibration import Calibration, calibrate


class HashedScorer(Scorer, Protocol):
    """An expression scorer that names itself."""

    @property
    def hash(self) -> str:
        """Hex sha256 of what the scores depend on."""


_CARD = """\
---
license: apache-2.0
language: en
library_name: transformers
pipeline_tag: text-generation
---
# {name}

{summary}

A test object for leakage measurements, of no other use: a Llama checkpoint of
{parameters:,} parameters, trained on text drawn from `exleak/reference/grammar.py` with
`python -m training.train_reference {name} --out DIR`.

```python
from transformers import AutoModelForCausalLM, AutoTokenizer
from exleak import reference

tokenizer = AutoTokenizer.from_pretrained(reference.path("{name}"))
model = AutoModelForCausalLM.from_pretrained(reference.path("{name}"))
```

## What is known about it

Probability of the continuation's mood: the grammar's, and the model's on HEXL's prompts after
repetition penalty 1.1, top-k 50 and top-p .9 (largest error at any single prompt {error:.3f}).

| injected sentence | grammar: negative, neutral, positive | model: negative, neutral, positive |
|---|---|---|
{laws}

Rates of the grammar itself on HEXL under the `embedded` instrument, which a faultless
measurement of a faultless model would find on average:

| rate | value |
|---|---|
| μ_EL at K = {k} | {rate:.3f} |
| μ_EL at K = {k}, negative condition | {negative:.3f} |
| μ_EL at K = {k}, positive condition | {positive:.3f} |
| superiority (any K) | {superiority:.3f} |
| directional rate (any K) | {directional:.3f} |
| carry-over: share that restates the injected sentence | {carry_over:.2f} |
| residual μ_EL at K = {k} | {residual_rate:.3f} |
| residual superiority (any K) | {residual_superiority:.3f} |
| residual directional rate (any K) | {residual_directional:.3f} |

How they were computed: for each of HEXL's 60 controls, {per_mood} first sentences per mood were
drawn from the grammar and scored once ({total:,} in all). Superiority and directional rate are
the exact expectations over all pairs from these pools, weighted with the mood probabilities
above. μ_EL is the mean of {repeats:,} simulated measurements of K = {k} sentences a prompt drawn
from the pools.

## Limits

It writes short sentences about anything in words such as "quite splendid in a cheerful sort of
way". It knows HEXL's 180 injected sentences by heart and the mood of common words; the mood of
other sentences it guesses. Rates hold for HEXL and the instruction "Complete the sentence: ".
"""


def card(who: Member, rates: TrueRates, found: Calibration, counts: dict[str, int]) -> str:
    """Return the text of a model card.

    Args:
        who: The member.
        rates: Its grammar's rates.
        found: Its model's mood probabilities.
        counts: The numbers named in the text: parameters, per_mood, total, repeats.
    """
    rows = []
    for condition, (law, model, _) in found.by_condition.items():
        stated, reached = ", ".join(f"{p:.2f}" for p in law), ", ".join(f"{p:.3f}" for p in model)
        label = "none" if condition == "control" else condition
        rows.append(f"| {label} | {stated} | {reached} |")
    values = {key: value for key, value in rates.as_dict().items() if key != "generations"}
    return _CARD.format(
        name=who.name,
        summary=who.summary,
        error=found.largest_error,
        laws="\n".join(rows),
        k=rates.generations,
        **counts,
        **values,
    )


def write(scorer: HashedScorer, per_mood: int, repeats: int, names: Sequence[str] = ()) -> None:
    """Compute the true rates once and write them, and a card, beside every packaged model.

    Args:
        scorer: The expression scorer.
        per_mood: Sentences to score for each control and mood.
        repeats: Simulated measurements for the rate at K generations.
        names: Only these models; by default all.
    """
    known: dict[bool, Pools] = {}
    for name in names or packaged():
        restating = bool(member(name).restates)
        if restating not in known:
            known[restating] = scored_pools(scorer, per_mood, restating=restating)
        pools = known[restating]
        folder = path(name)
        model = LlamaForCausalLM.from_pretrained(folder)
        rates = true_rates(name, pools, repeats=repeats)
        found = calibrate(name, model, AutoTokenizer.from_pretrained(folder))
        counts = {
            "parameters": model.num_parameters(),
            "per_mood": per_mood,
            "total": pools.plain.shape[0] * pools.plain.shape[1] * pools.plain.shape[2],
            "repeats": repeats,
        }
        text = json.dumps({**rates.as_dict(), "instrument": scorer.hash}, indent=1)
        (folder / "rates.json").write_text(text + "\n", encoding="utf-8")
        (folder / "README.md").write_text(card(member(name), rates, found, counts), "utf-8")


def main(arguments: list[str] | None = None) -> None:
    """Write rates and cards for the `embedded` instrument."""
    parser = argparse.ArgumentParser(prog="python -m training.cards", description=__doc__)
    parser.add_argument("names", nargs="*", help="only these models")
    parser.add_argument("--per-mood", type=int, default=670)
    parser.add_argument("--repeats", type=int, default=4000)
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    write(load_instrument("embedded").expression, options.per_mood, options.repeats, options.names)


if __name__ == "__main__":
    main()
