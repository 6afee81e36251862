"""What a repository pays that has the plugin installed and does not use it.

    python benchmarks/unused_plugin.py [--tests 3000] [--runs 5] [--workers 0 2 4]

A repository of that many parametrised tests, with a pyproject.toml of 3 KB, is run with and
without the plugin in turn, in changing order. Printed are the medians of the processor time of all
processes, and their ratio; and, because processor time differs by a tenth from run to run on a
shared machine, the number of function calls in one process, which hardly differs.
"""

from __future__ import annotations

import argparse
import os
import pstats
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

_TESTS = """
import pytest

@pytest.mark.parametrize("number", range({tests}))
def test_own(number):
    assert number >= 0
"""
_OFF = ("-p", "no:leakage_fixtures.plugin")
_SETTINGS = "[tool.pytest.ini_options]\nmarkers = [\n{markers}]\n"


def repository(folder: Path, tests: int) -> None:
    """A repository that measures no leakage."""
    (folder / "test_own.py").write_text(_TESTS.format(tests=tests))
    markers = "".join(f'    "kind_{number}: one of the kinds of tests",\n' for number in range(70))
    (folder / "pyproject.toml").write_text(_SETTINGS.format(markers=markers))


def seconds(folder: Path, workers: int, *arguments: str) -> float:
    """Processor time of a run, its workers included."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    if workers:
        command += ["-n", str(workers)]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "env": {**os.environ}}
    subprocess.run(command, check=True, **quiet)  # type: ignore[call-overload]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def calls(folder: Path, *arguments: str) -> int:
    """Function calls of a run in one process, those within C included."""
    profile = folder / "profile"
    command = [sys.executable, "-m", "cProfile", "-o", str(profile), "-m", "pytest", "-q"]
    command += ["-p", "no:cacheprovider", *arguments]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return int(pstats.Stats(str(profile)).total_calls)  # type: ignore[attr-defined]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--tests", type=int, default=3000)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[0, 2, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        repository(folder, options.tests)
        seconds(folder, 0)  # byte code is written once
        for workers in options.workers:
            used: dict[str, list[float]] = {"with": [], "without": []}
            for run in range(options.runs):
                for kind in list(used)[:: 1 if run % 2 else -1]:
                    off = () if kind == "with" else _OFF
                    used[kind].append(seconds(folder, workers, *off))
            pair, bare = (statistics.median(used[key]) for key in ("with", "without"))
            print(f"-n {workers}: {pair:.2f} s with, {bare:.2f} s without: {pair / bare:.3f}")
        own, none = calls(folder), calls(folder, *_OFF)
        print(f"function calls: {own:,} with, {none:,} without: {own / none:.4f}")


if __name__ == "__main__":
    main()
