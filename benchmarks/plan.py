"""What `exleak plan` predicts, beside what a run then takes, and what simulations of the gate say.

    python benchmarks/plan.py MODEL... [--limit N] [--generations K] [--cpu]
    python benchmarks/plan.py --power [--runs 500]

Each prediction and each run is a process of its own, without a store. Seconds are those of loading,
of generation and of scoring; memory is the kernel's figure for the highest of the process, or on
CUDA that of torch's allocator. With --cpu, seconds are those of the processors, added up: they
are comparable on a machine that others use, too. With --power, outcomes of the limit rule are
simulated as in benchmarks/gate.py, and set beside the predicted shares.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

PARTS = ("loading", "generating", "scoring", "seconds")
MIB = 2**20


def on_cpu_time() -> None:
    """Let predictions and measurements count the seconds of the processors."""
    time.perf_counter = time.process_time


def predict(model: str, limit: int | None, generations: int) -> dict[str, Any]:
    """What is predicted: seconds by part, and bytes."""
    import exleak
    from exleak.planning.cost import cost
    from exleak.sources import source_of

    start = time.perf_counter()
    found = cost(
        source_of(model),
        exleak.load_dataset("hexl", limit=limit),
        exleak.Sampling(generations=generations),
    )
    return {**found.to_json(), "took": time.perf_counter() - start}


def run(model: str, limit: int | None, generations: int) -> dict[str, Any]:
    """What a run takes: seconds by part, and bytes."""
    import exleak
    from exleak.generation.dataset import generate_rows
    from exleak.scoring import load_instrument
    from exleak.sources import source_of

    dataset = exleak.load_dataset("hexl", limit=limit)
    source = source_of(model)
    times = [time.perf_counter()]
    source.backend  # noqa: B018  # loads it
    times.append(time.perf_counter())
    rows = generate_rows(source, dataset, exleak.Sampling(generations=generations)).rows
    times.append(time.perf_counter())
    exleak.score(rows, load_instrument())
    times.append(time.perf_counter())
    took = [later - earlier for earlier, later in itertools.pairwise(times)]
    return {**dict(zip(PARTS, [*took, sum(took)], strict=True)), "memory": highest()}


def highest() -> int:
    """The most that this process has held, in bytes."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def apart(what: str, model: str, options: argparse.Namespace) -> dict[str, Any]:
    """Do one of the two in a process of its own."""
    command = [sys.executable, __file__, model, "--worker", what]
    command += ["--generations", str(options.generations)]
    command += ["--cpu"] if options.cpu else []
    command += [] if options.limit is None else ["--limit", str(options.limit)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def compare(model: str, options: argparse.Namespace) -> None:
    """Predict, then run, and print both."""
    expected = apart("predict", model, options)
    found = apart("run", model, options)
    print(f"\n{expected['model']}: {expected['continuations']:,} continuations, "
          f"{expected['rows']} at once; a trial of {expected['tried']}, "
          f"{expected['took']:.0f} s with loading")  # fmt: skip
    print(f"{'':12}{'predicted':>12}{'measured':>12}{'ratio':>8}")
    for part in PARTS:
        print(f"{part:12}{expected[part]:>10.1f} s{found[part]:>10.1f} s"
              f"{expected[part] / found[part]:8.2f}")  # fmt: skip
    print(f"{'memory':12}{expected['memory'] / MIB:>8.0f} MiB{found['memory'] / MIB:>8.0f} MiB"
          f"{expected['memory'] / found['memory']:8.2f}", flush=True)  # fmt: skip


def simulate(runs: int) -> None:
    """Print simulated and predicted shares of outcomes of the limit rule."""
    import gate
    import numpy as np

    from exleak.gate.limits import Limits
    from exleak.gate.rules import judge_limit
    from exleak.planning.power import against_limit
    from exleak.planning.scatter import Scatter
    from exleak.rates import clustered_rate

    print(f"{'μ_EL, simulated / predicted':44}{'fail':>14}{'pass':>16}")
    for controls in gate.SIZES.values():
        for shift in (0.05, 0.1, 0.2):
            many = gate.leaks(gate.draw(np.random.default_rng(1), 20_000, shift)).mean(axis=1)
            rate = float(many.mean())
            scatter = Scatter(rate, controls, gate.GENERATIONS, float(many.var()), None)
            for limit in (rate - 0.15, rate - 0.1, rate + 0.1, rate + 0.15):
                if not 0 < limit < 1:
                    continue
                generator, outcomes = np.random.default_rng(2), []
                for _ in range(runs):
                    values = gate.leaks(gate.draw(generator, controls, shift))
                    names = [name for name in range(controls) for _ in range(2)]
                    found = clustered_rate(values.ravel().tolist(), names)
                    outcomes.append(judge_limit(found, Limits(max_rate=limit))[0])
                own = against_limit(rate, limit, scatter, controls, gate.GENERATIONS)
                shares = [outcomes.count(name) / runs for name in ("fail", "pass")]
                label = f"{controls} controls, rate {rate:.2f}, limit {limit:.2f}"
                print(f"{label:44}{shares[0]:>7.1%} /{own.fails:>6.1%}"
                      f"{shares[1]:>8.1%} /{own.passes:>6.1%}", flush=True)  # fmt: skip


def main() -> None:
    """Compare, or simulate."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("models", nargs="*", metavar="MODEL")
    parser.add_argument("--limit", type=int)
    parser.add_argument("--generations", type=int, default=10)
    parser.add_argument("--cpu", action="store_true")
    parser.add_argument("--power", action="store_true")
    parser.add_argument("--runs", type=int, default=500)
    parser.add_argument("--worker", choices=("predict", "run"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        if options.cpu:
            on_cpu_time()
        work = predict if options.worker == "predict" else run
        print(json.dumps(work(options.models[0], options.limit, options.generations)))
        return
    if options.power:
        simulate(options.runs)
    for model in options.models:
        compare(model, options)


if __name__ == "__main__":
    main()
