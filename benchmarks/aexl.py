"""Building AEXL at scale: memory of a long stream, speed of scoring, builds that are killed.

    python benchmarks/aexl.py memory [--sentences 1000000]
    python benchmarks/aexl.py speed [--sentences 2000] [--repeats 3]
    python benchmarks/aexl.py kills [--times 10]

- memory: synthetic sentences with given scores go through filters and selection; peak memory is
  compared with that of a build from 2,000 sentences. Each build is a process of its own.
- speed: the scoring of a build against the bare encoder on the same sentences, in turn.
- kills: a build from the shipped corpus is killed at random moments, then run to its end.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from exleak.aexl import Recipe, build
from exleak.aexl.sources import BLOCK
from exleak.scoring import Instrument, load_instrument

_MOODS = ("calm", "wonderful", "horrible")


class Given:
    """Scores that need no model: the mood is a word of the sentence, the confidence a hash."""

    hash = "given scores"

    def predict(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Class probabilities (n, 3)."""
        rows = np.empty((len(texts), 3))
        for row, text in zip(rows, texts, strict=True):
            digest = hashlib.blake2b(text.encode(), digest_size=4).digest()
            confidence = 0.4 + 0.59 * int.from_bytes(digest) / 2**32
            row[:] = (1 - confidence) / 2
            row[2 if _MOODS[1] in text else 0 if _MOODS[2] in text else 1] = confidence
        return rows

    def embed(self, texts: Sequence[str]) -> NDArray[np.float64]:
        """Unit vectors (n, 32)."""
        rows = [list(hashlib.blake2b(text.encode(), digest_size=32).digest()) for text in texts]
        vectors = np.array(rows, dtype=np.float64).reshape(len(texts), 32) - 127.5
        unit: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def synthetic(count: int) -> Iterator[str]:
    """Sentences of made-up words, the same ones every time."""
    draw = random.Random(1)
    syllables = [a + b for a in "bdfgklmnprtv" for b in "aeiou"]
    for index in range(count):
        some = ["".join(draw.choices(syllables, k=3)) for _ in range(4 + index // 3 % 9)]
        yield f"The {some[0]} {some[1]} was {_MOODS[index % 3]} of the {' '.join(some[2:])}.\n"


def peak(count: int) -> dict[str, float]:
    """Build from so many sentences; peak memory in MB, and sentences a second."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "text.txt"
        with source.open("w") as file:
            file.writelines(synthetic(count))
        start = time.perf_counter()
        recipe = Recipe(top=600, sampled=300, samples=60)
        given = Given()
        instrument = Instrument("given", given, given)
        report = build(
            [source], Path(folder) / "o.jsonl", recipe=recipe, instrument=instrument, store=None
        )
        seconds = time.perf_counter() - start
    assert report.sentences["found"] == count
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"megabytes": used, "per_second": count / seconds}


def memory(options: argparse.Namespace) -> None:
    """Compare a long stream with a short one."""
    found = {}
    for count in (2000, options.sentences):
        command = [sys.executable, __file__, "peak", "--sentences", str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[count] = json.loads(done.stdout)
        print(f"{count:9} sentences: peak {found[count]['megabytes']:.0f} MB, "
              f"{found[count]['per_second']:.0f} a second", flush=True)  # fmt: skip
    more = found[options.sentences]["megabytes"] - found[2000]["megabytes"]
    print(f"the long stream took {more:.0f} MB more")


def corpus() -> list[str]:
    """The shipped corpus."""
    import exleak.datasets

    path = Path(exleak.datasets.__file__).parent / "corpus.jsonl.gz"
    with gzip.open(path, "rt") as file:
        return [json.loads(line)["text"] for line in file]


def speed(options: argparse.Namespace) -> None:
    """Time a build's scoring and the bare encoder in turn, and compare medians."""
    from exleak.aexl.sources import Block
    from exleak.aexl.worker import Worker
    from exleak.scoring.encoder import Encoder, load_encoder, weights_folder

    texts = corpus()[: options.sentences]
    instrument = load_instrument("embedded")
    encoder = Encoder(weights_folder())
    encoder.pooled(texts[:64])
    seconds: dict[str, list[float]] = {"encoder": [], "build": []}
    for _ in range(options.repeats):
        for name, times in seconds.items():
            used = load_encoder() if name == "build" else encoder
            used._known.clear()
            worker = Worker(Recipe(), instrument, None)
            start = time.process_time()
            for first in range(0, len(texts), BLOCK):
                block = tuple(texts[first : first + BLOCK])
                if name == "build":
                    worker.work(Block(block))
                else:
                    encoder.pooled(block)
            times.append(time.process_time() - start)
    rates = {name: len(texts) / statistics.median(times) for name, times in seconds.items()}
    print(f"encoder {rates['encoder']:.0f}, build {rates['build']:.0f} sentences a second of "
          f"processor time: {rates['build'] / rates['encoder']:.1%}")  # fmt: skip


def kills(options: argparse.Namespace) -> None:
    """Kill a build at random moments; the finished one must be the shipped file."""
    import exleak.datasets

    shipped = exleak.datasets.dataset_path("aexl").read_bytes()
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "out.jsonl"
        run = "import sys; from exleak.cli import main; sys.exit(main())"
        command = [sys.executable, "-c", run, "aexl", "build", "corpus", "-o", str(output)]
        command += ["--store", f"{folder}/store", "--quiet"]
        command += ["--skip-filter", "context", "--skip-filter", "unsure"]
        draw = random.Random(options.seed)
        for _ in range(options.times):
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            time.sleep(seconds := draw.uniform(0.5, options.longest))
            process.kill()
            ended = process.wait()
            blocks = len(list(Path(folder).glob("store/scores/*/*.jsonl")))
            print(f"killed after {seconds:.1f} s (status {ended}); blocks stored: {blocks}")
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        same = output.read_bytes() == shipped
        print("the finished build is the shipped file" if same else "the builds DIFFER")
        sys.exit(not same)


def main() -> None:
    """Run one of the benchmarks."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("memory", "speed", "kills", "peak"))
    parser.add_argument("--sentences", type=int)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--longest", type=float, default=40.0, help="seconds before a kill")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.sentences = options.sentences or (2000 if options.what == "speed" else 1_000_000)
    if options.what == "peak":
        print(json.dumps(peak(options.sentences)))
        return
    {"memory": memory, "speed": speed, "kills": kills}[options.what](options)


if __name__ == "__main__":
    main()
