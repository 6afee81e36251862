"""Ray's cluster that is not there is told at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from exleak import SettingsError
from exleak.aexl import build, ray_cluster
from tests.aexl import fake

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def _dead(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address that nothing listens at."""
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:9")


@pytest.mark.parametrize("address", ["127.0.0.1:9", "ray://127.0.0.1:9"])
def test_a_dead_cluster_is_one_error_at_once(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It names the variable and the address."""
    monkeypatch.setenv("RAY_ADDRESS", address)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    source = fake.write(tmp_path / "text.txt", 100)
    started = time.monotonic()
    with pytest.raises(SettingsError, match=f"RAY_ADDRESS is '{address}', and nothing answers"):
        build([source], tmp_path / "out.jsonl", recipe=fake.RECIPE,
              instrument=fake.instrument(), engine="ray")  # fmt: skip
    assert time.monotonic() - started < 10


def test_a_cluster_that_does_not_let_in_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Something answers at the address, and is no Ray."""
    monkeypatch.setattr(ray_cluster, "_JOIN", 0.2)
    monkeypatch.setattr(ray_cluster, "_check", lambda address: None)
    monkeypatch.setattr(ray, "init", lambda **_: time.sleep(1))
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS .*did not let this process join"):
        ray_cluster.connect()


def test_what_ray_says_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its builtin errors, too: RAY_ADDRESS=auto without a cluster, for one."""

    def failing(**_: Any) -> None:
        raise ConnectionError("Could not find any running Ray instance.\nPlease specify")

    monkeypatch.setenv("RAY_ADDRESS", "auto")
    monkeypatch.setattr(ray, "init", failing)
    with pytest.raises(SettingsError, match=r"RAY_ADDRESS is 'auto', and Could not find any run"):
        ray_cluster.connect()


def test_a_process_that_starts_ray_can_use_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray's own processes end with the thread that started them, so that one must stay."""
    monkeypatch.delenv("RAY_ADDRESS")
    program = """
import time

import ray

from exleak.aexl.ray_cluster import connect

connect()
time.sleep(1)
print(ray.get(ray.remote(num_cpus=0)(lambda: "an answer").remote(), timeout=60))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.splitlines() == ["an answer"], done.stderr
