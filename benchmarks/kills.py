"""Whether a run that is killed at any moment loses or spoils anything.

    python benchmarks/kills.py MODEL [--kills 20] [--seed N] [--seconds 1.0]

A process generates 10 continuations of every HEXL prompt into a store and is killed (SIGKILL) at a
random moment, twice for each store; then a run is left to end. After each kill, all that is stored
must be what an undisturbed run makes, none of it twice, and what the killed process had finished
but not stored must be less than is written at once. The exit status is 1 if anything is amiss.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import exleak
from exleak.generation.dataset import _FLUSH_COUNT, generate_rows
from exleak.generation.local.source import CheckpointSource
from exleak.progress import Done, told
from exleak.store import Store

Texts = dict[str, object]


def work(model: str, folder: str, count_file: str) -> None:
    """Generate into a store, noting how many continuations are done."""
    with Path(count_file).open("w", buffering=1, encoding="ascii") as file:

        def note(done: Done) -> None:
            if done.phase == "generating" and done.count:
                file.write(f"{done.count}\n")

        with told(note):
            generate_rows(
                CheckpointSource(model, model), exleak.load_dataset("hexl"), exleak.Sampling(),
                store=Store(folder),
            )  # fmt: skip


def run(model: str, folder: Path, seconds: float | None) -> int:
    """Start a run, and kill it so long after its first continuation; how many it finished."""
    count = folder / "count"
    count.unlink(missing_ok=True)
    command = [sys.executable, __file__, model, "--worker", str(folder / "store"), str(count)]
    process = subprocess.Popen(command)
    while process.poll() is None and not (count.exists() and count.stat().st_size):
        time.sleep(0.005)
    if seconds is not None:
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
    process.wait()
    if seconds is None and process.returncode:
        raise SystemExit("a run failed")
    lines = count.read_text(encoding="ascii").splitlines()
    return max((int(line) for line in lines if line), default=0)


def stored(folder: Path) -> tuple[Texts, int]:
    """All continuations of a store, and how many stand in it twice."""
    entries: Texts = {}
    twice = 0
    for kind, segments, _ in Store(folder / "store").all():
        if kind != "generations":
            continue
        for path in segments.paths():
            for key, text in segments._load(path).items():
                twice += key in entries and key != "chat"
                entries[key] = text
    return entries, twice


def main() -> int:
    """Kill runs and compare what is left."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("model")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=1.0, help="latest moment of a kill")
    parser.add_argument("--worker", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.model, *options.worker)
        return 0
    warnings.simplefilter("error")
    chance = random.Random(options.seed)
    amiss = 0
    with tempfile.TemporaryDirectory() as place:
        whole = Path(place) / "whole"
        whole.mkdir()
        run(options.model, whole, None)
        expected, _ = stored(whole)
        for number in range(options.kills):
            folder = Path(place) / str(number // 2)
            folder.mkdir(exist_ok=True)
            before = len(stored(folder)[0])
            moment = chance.uniform(0, options.seconds)
            finished = run(options.model, folder, moment)
            found, twice = stored(folder)
            wrong = sum(expected.get(key) != text for key, text in found.items())
            lost = finished - (len(found) - before)
            amiss += wrong + twice + (lost > _FLUSH_COUNT)
            print(
                f"killed after {moment:.2f} s: {len(found)} of {len(expected)} stored, {wrong} "
                f"wrong, {twice} twice, {max(lost, 0)} finished but not stored",
                flush=True,
            )
            if number % 2 or number == options.kills - 1:
                run(options.model, folder, None)
                amiss += stored(folder)[0] != expected
    print("nothing amiss" if not amiss else f"{amiss} amiss")
    return 1 if amiss else 0


if __name__ == "__main__":
    sys.exit(main())
