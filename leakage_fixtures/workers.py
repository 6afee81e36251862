"""Under xdist: one worker generates, the others wait and read; cores are shared, not fought for."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest

    from exleak.records import PromptGenerations

    Rows = tuple[PromptGenerations, ...]


def worker_count(config: pytest.Config) -> int:
    """How many processes run tests."""
    workerinput = getattr(config, "workerinput", None)
    return int(workerinput["workercount"]) if workerinput else 1


def share_cpus(config: pytest.Config) -> None:
    """Give each worker its share of the cores; more threads than cores make each other wait."""
    count = worker_count(config)
    if count > 1:
        import torch

        torch.set_num_threads(max(1, (os.cpu_count() or 1) // count))


def once(
    config: pytest.Config, folders: pytest.TempPathFactory, key: str, generate: Callable[[], Rows]
) -> Rows:
    """Generate, or read what another worker of this run generated for the same key."""
    if worker_count(config) == 1:
        return generate()
    from filelock import FileLock

    from exleak.store import read_generations, write_generations

    name = hashlib.sha256(key.encode()).hexdigest()[:16]
    path = folders.getbasetemp().parent / f"leakage-{name}.jsonl"
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            write_generations(path, generate())
        return read_generations(path)
