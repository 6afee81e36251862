"""Under xdist: one worker generates, the others wait and read; cores are shared, not fought for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from leakage_fixtures import settings

if TYPE_CHECKING:
    import pytest

    from exleak.store import Store


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


def store(config: pytest.Config, folder: str, temporary: pytest.TempPathFactory) -> Store | None:
    """The store of this run; its lock lets one worker generate while the others wait.

    With ``--leakage-store none`` workers share a temporary one, and a single process has none.
    """
    from exleak.store import Store

    if folder != "none":
        return Store(settings.root(config) / Path(folder))
    if worker_count(config) > 1:
        return Store(temporary.getbasetemp().parent / "leakage-store")
    return None
