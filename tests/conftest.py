"""Fixtures of several tests: a tiny checkpoint, a browser. Nothing heavy is imported for others."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import browser

if TYPE_CHECKING:
    from exleak.generation.local.model import LocalModel
    from tests.helpers.warm import Zygote

__all__ = ["browser"]

#: Files with one long step each come first: at the end, other workers would wait for them.
_LONG = (
    "test_selfcheck.py",
    "test_leakage.py",
    "test_training_repository.py",
    "test_paper.py",
    "test_no_difference.py",
    "test_simulation.py",
    "test_transformers_serve.py",
    "test_shipped.py",
)

# Figures and texts of the tests are those of the CPU in float32. CUDA_VISIBLE_DEVICES=0 overrides.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
# Several processes test at once: threads that wait for others leave the core to them.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell starts background jobs with SIGINT ignored, and so would be what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run the longest files first."""
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama checkpoint."""
    from tests.helpers import checkpoints

    return checkpoints.save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "llama")


@pytest.fixture
def llama_model(llama: Path) -> LocalModel:
    """The same, loaded anew for each test."""
    from exleak.generation.local.loading import load_model

    return load_model(llama)


@pytest.fixture(scope="session")
def zygote() -> Iterator[Zygote | None]:
    """What starts processes whose imports are done; ``None`` where that is not possible."""
    if sys.platform != "linux":
        yield None
        return
    from tests.helpers.warm import Zygote

    found = Zygote(os.environ)
    yield found
    found.close()


@pytest.fixture(scope="module")
def warm(zygote: Zygote | None) -> Iterator[None]:
    """Python processes start with their imports done, unless the environment is another."""
    with pytest.MonkeyPatch.context() as patch:
        if zygote is not None:
            patch.setattr(subprocess, "Popen", zygote.popen)
        yield
