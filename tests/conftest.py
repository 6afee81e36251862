"""Fixtures of several tests: a tiny checkpoint, a browser."""

from __future__ import annotations

from pathlib import Path

import pytest

from exleak.generation.local.loading import load_model
from exleak.generation.local.model import LocalModel
from tests.helpers import checkpoints
from tests.helpers.browser import browser

__all__ = ["browser"]


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random Llama checkpoint."""
    return checkpoints.save_checkpoint(tmp_path_factory.mktemp("checkpoints") / "llama")


@pytest.fixture
def llama_model(llama: Path) -> LocalModel:
    """The same, loaded anew for each test."""
    return load_model(llama)
