"""Whether the same checkpoint gives the same sentences however it is run.

    python benchmarks/invariance.py MODEL… [--limit N] [--device D] [--dtype T] [--against cpu]

For each model, 10 continuations of every HEXL prompt: stopped early against run to 128 tokens, and
batch sizes 1, 7, 64 and 640 in both orders against each other. Prints how many differ; the exit
status is 1 if any does. With --against, the full run is made on another device.
"""

from __future__ import annotations

import argparse
import sys

import exleak
from exleak.generation.local.model import LocalModel
from exleak.generation.local.run import continue_prompts
from exleak.generation.requests import Request
from exleak.prompts import first_sentence_of

Texts = dict[tuple[int, int], str]


def run(model: LocalModel, limit: int | None, batch: int, *, full: bool, backwards: bool) -> Texts:
    """First sentences by prompt and index."""
    prompts = list(exleak.load_dataset("hexl", limit=limit).prompts)
    order = range(len(prompts))[:: -1 if backwards else 1]
    first = [first_sentence_of(p.text, p.control, p.injected) for p in prompts]
    requests = [
        Request(prompts[i].text, tuple(range(10)), None if full else first[i].is_complete)
        for i in order
    ]
    found = continue_prompts(model, requests, exleak.Sampling(), batch_size=batch)
    return {(order[r.request], r.index): first[order[r.request]].of(r.text) for r in found}


def main() -> int:
    """Compare the runs of each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--limit", type=int, help="only the first N samples")
    parser.add_argument("--batches", type=int, nargs="+", default=[640, 64, 7, 1])
    parser.add_argument("--device")
    parser.add_argument("--dtype")
    parser.add_argument("--against", metavar="DEVICE", help="device of the full run")
    options = parser.parse_args()
    differing = 0
    for name in options.models:
        model = exleak.load_model(name, device=options.device, dtype=options.dtype)
        other = model
        if options.against:
            other = exleak.load_model(name, device=options.against, dtype=options.dtype)
        expected = run(other, options.limit, 640, full=True, backwards=False)
        for batch in options.batches:
            for backwards in (False, True):
                found = run(model, options.limit, batch, full=False, backwards=backwards)
                wrong = sum(found[key] != text for key, text in expected.items())
                differing += wrong + abs(len(found) - len(expected))
                order = "backwards" if backwards else "forwards"
                print(
                    f"{name} ({model.device}, {model.dtype}): early, batch {batch}, {order}: "
                    f"{wrong} of {len(expected)} first sentences differ from the full run",
                    flush=True,
                )
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
