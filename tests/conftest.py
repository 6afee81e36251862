"""Fixtures of several tests: a tiny checkpoint, a browser. Nothing heavy is imported for others."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.helpers.browser import browser

if TYPE_CHECKING:
    from exleak.generation.local.model import LocalModel

__all__ = ["browser"]

# Figures and texts of the tests are those of the CPU in float32. CUDA_VISIBLE_DEVICES=0 overrides.
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

# A shell starts background jobs with SIGINT ignored, and so would be what the tests start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


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
