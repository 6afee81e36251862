"""How much memory generation takes, against the least that it could.

    python benchmarks/memory.py MODEL [--prompts 240 2400] [--batch N]

Each number of prompts runs in a process of its own, 10 continuations a prompt. What the process has
after a run of one prompt (Python, torch, transformers, the weights) is its base. What it takes
beyond that, at its highest, is compared with the keys and values of the rows that are alive at the
same time, in tensors as wide as the longest of them. Peak and base are the kernel's figures, or on
CUDA those of torch's allocator.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

MIB = 2**20


def status(name: str) -> int:
    """A figure of this process in bytes: VmRSS (now) or VmHWM (at most)."""
    import torch

    if torch.cuda.is_available():
        now = name == "VmRSS"
        return torch.cuda.memory_allocated() if now else torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


def prompts(count: int) -> list[str]:
    """So many different prompts: HEXL's own, or its controls behind other samples' sentences."""
    import exleak

    samples = exleak.load_dataset("hexl").samples
    pairs = [
        (samples[number], samples[(number + round_) % len(samples)])
        for round_ in range(len(samples))
        for number in range(len(samples))
    ]
    texts = [
        prompt.text.replace(str(other.prompts[0].control), str(sample.prompts[0].control))
        for sample, other in pairs
        for prompt in other.prompts
    ]
    return list(dict.fromkeys(texts))[:count]


def measure(model: str, count: int, batch: int | None) -> dict[str, Any]:
    """Peak, base and the keys and values of the live rows, in bytes."""
    import threading

    import exleak
    from exleak.generation.local.engine import Engine
    from exleak.generation.local.run import continue_prompts
    from exleak.generation.requests import Continued, Counts, Request
    from exleak.prompts import first_sentence_of

    loaded = exleak.load_model(model)
    config = loaded.model.config
    heads, size = config.num_key_value_heads, config.head_dim
    a_token = 2 * config.num_hidden_layers * heads * size * loaded.model.dtype.itemsize
    taken: dict[int, int] = {}
    most = 0
    step = Engine._step

    def watched(self: Engine) -> list[Continued]:
        nonlocal most
        longest = max(self.cache.column - row.start for row in self.live.values())
        taken[threading.get_ident()] = len(self.live) * (longest + 1) * a_token
        most = max(most, sum(taken.values()))
        return step(self)

    def run(texts: list[str]) -> Counts:
        counts = Counts()
        requests = [
            Request(text, tuple(range(10)), first_sentence_of(text, None, None).is_complete)
            for text in texts
        ]
        found = continue_prompts(
            loaded, requests, exleak.Sampling(), batch_size=batch, counts=counts
        )
        for _ in found:
            pass
        return counts

    run(prompts(1))
    base = status("VmRSS")
    Engine._step = watched  # type: ignore[method-assign]
    counts = run(prompts(count))
    weights = sum(p.numel() * p.element_size() for p in loaded.model.parameters())
    return {
        "prompts": count, "rows": counts.batch_sizes, "base": base, "peak": status("VmHWM"),
        "weights": weights, "live": most,
    }  # fmt: skip


def main() -> None:
    """Measure each number of prompts in a new process."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, nargs="+", default=[240, 2400])
    parser.add_argument("--batch", type=int)
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(json.dumps(measure(options.model, options.prompts[0], options.batch)))
        return
    batch = ["--batch", str(options.batch)] if options.batch else []
    for count in options.prompts:
        command = [sys.executable, __file__, options.model, "--worker", "--prompts", str(count)]
        done = subprocess.run([*command, *batch], stdout=subprocess.PIPE, text=True, check=True)
        run = json.loads(done.stdout.splitlines()[-1])
        beyond = run["peak"] - run["base"]
        least = run["weights"] + run["live"]
        whole = run["peak"] / (run["base"] + run["live"])
        print(
            f"{count} prompts, {run['rows']} rows: peak {run['peak'] / MIB:.0f} MiB, base "
            f"{run['base'] / MIB:.0f}, live rows {run['live'] / MIB:.0f}, weights "
            f"{run['weights'] / MIB:.0f}; beyond the base {beyond / MIB:.0f} = "
            f"{beyond / least:.2f} x (weights + live rows); whole process {whole:.2f} x",
            flush=True,
        )


if __name__ == "__main__":
    main()
