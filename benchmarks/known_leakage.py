"""Whether the truth lies in the measured intervals: the reference models over many seeds.

    python benchmarks/known_leakage.py [MODEL…] [--seeds 20] [--generations 10] [--json OUT]

For each model and seed, HEXL is measured from the start and the grammar's own rates are looked up
in the 95% intervals. Prints how often they lie inside, the mean of each rate beside the truth, and
how often the directional tests, of all and of the residual continuations, reject "no leakage" at
5%. With --json, rates are added to the file as they come, and what is there already is not measured
again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

import exleak
from exleak import reference
from exleak.measurement import measure
from exleak.reference.truth import scored_pools, true_rates
from exleak.scoring import load_instrument

#: Where an interval has no width.
_ROUNDED = 1e-9
RATES = ("rate", "superiority", "directional", "negative", "positive", "residual_rate",
         "residual_superiority", "residual_directional", "carry_over")  # fmt: skip


def run(name: str, seed: int, generations: int) -> dict[str, Any]:
    """The rates of one run, with what is needed to judge them."""
    found = measure(name, sampling=exleak.Sampling(generations=generations, seed=seed))
    residual, carried = found.expression.residual, found.expression.carry_over
    assert residual is not None
    assert carried is not None
    shown = {
        "rate": found.expression,
        "superiority": found.expression.superiority,
        "directional": found.expression.directional,
        "negative": found.expression.by_condition["negative"],
        "positive": found.expression.by_condition["positive"],
        "residual_rate": residual.rate,
        "residual_superiority": residual.superiority,
        "residual_directional": residual.directional,
        "carry_over": carried.share,
    }
    return {
        **{key: [rate.rate, *(rate.interval or ())] for key, rate in shown.items()},
        "p_value": found.expression.p_value,
        "directional_p": found.expression.directional.p_value,
        "residual_p": residual.directional.p_value,
        "controls": residual.controls,
        "shift": any(note.startswith("non-specific shift") for note in found.notes),
    }


def report(name: str, runs: list[dict[str, Any]], truth: dict[str, float]) -> None:
    """Print how the runs of a model compare with its grammar."""
    print(f"\n{name}: {len(runs)} seeds")
    for key in RATES:
        values = np.array([found[key] for found in runs])
        low, high = values[:, 1] - _ROUNDED, values[:, 2] + _ROUNDED
        inside = np.mean((low <= truth[key]) & (truth[key] <= high))
        half = np.mean((values[:, 1] <= 0.5) & (values[:, 2] >= 0.5))
        print(
            f"  {key:12} grammar {truth[key]:.3f}  mean {values[:, 0].mean():.3f}  "
            f"in the 95% interval {inside:.0%}  (.5 in it {half:.0%}; all from "
            f"{values[:, 0].min():.3f} to {values[:, 0].max():.3f})"
        )
    rejected, residual = (
        np.mean([found[key] < 0.05 for found in runs]) for key in ("directional_p", "residual_p")
    )
    apart = np.mean([found["negative"][1] > found["positive"][2] for found in runs])
    print(
        f"  directional test rejects at 5%: {rejected:.1%}, of the residual {residual:.1%} on "
        f"{np.mean([found['controls'] for found in runs]):.0f} controls; 'non-specific shift' in "
        f"{np.mean([found['shift'] for found in runs]):.0%}; negative above positive with "
        f"intervals apart in {apart:.0%}"
    )


def main() -> None:
    """Measure every model under every seed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="*", default=reference.names(), metavar="MODEL")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    kept: dict[str, Any] = {}
    if options.json and options.json.is_file():
        kept = json.loads(options.json.read_text(encoding="utf-8"))
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    for seed in seeds:
        for name in options.models:
            key = f"{name} {options.generations} {seed}"
            if key not in kept:
                kept[key] = run(name, seed, options.generations)
                if options.json:
                    options.json.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    pools = None
    if options.generations != 10:
        pools = scored_pools(load_instrument("embedded").expression, per_mood=300)
    for name in options.models:
        truth = reference.true_rates(name)
        if pools is not None:
            truth = true_rates(name, pools, options.generations, repeats=2000).as_dict()
        report(name, [kept[f"{name} {options.generations} {seed}"] for seed in seeds], truth)


if __name__ == "__main__":
    main()
