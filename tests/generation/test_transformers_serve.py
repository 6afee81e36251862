"""A real server, `transformers serve` on loopback, against the local engine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from exleak import Sampling, load_dataset
from exleak.generation.dataset import generate_rows
from exleak.generation.endpoint.source import EndpointSource
from exleak.generation.local.source import CheckpointSource
from tests.helpers import checkpoints

DATA = load_dataset("hexl", limit=2)
#: With one candidate left, every engine has to write the same.
GREEDY = Sampling(generations=1, top_k=1, max_new_tokens=20)


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running server that loads whatever model it is asked for."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("serve") / "log"
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--device", "cpu"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "--port", str(port)],
            stdout=file,
            stderr=file,
            env={**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
        )
    try:
        for _ in range(600):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=1).close()
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


@pytest.mark.parametrize("chat", [False, True])
def test_the_server_writes_what_the_local_engine_writes(
    url: str, chat: bool, tmp_path: Path
) -> None:
    """The same prompts, chat template and settings arrive: also those OpenAI's interface lacks."""
    path = str(checkpoints.save_checkpoint(tmp_path, chat=chat))
    source = EndpointSource("m", url, path)
    served = generate_rows(source, DATA, GREEDY)
    local = generate_rows(CheckpointSource("m", path, device="cpu"), DATA, GREEDY)
    assert served.identity["chat"] is chat
    assert set(source.findings.honoured.values()) == {True}
    assert all("chat was refused" in note for note in served.notes)
    assert bool(served.notes) is not chat
    for ours, theirs in zip(local.rows, served.rows, strict=True):
        assert theirs.generations[0].strip().startswith(ours.generations[0].strip())


def test_a_server_samples(url: str, tmp_path: Path) -> None:
    """Continuations of one prompt differ."""
    source = EndpointSource("m", url, str(checkpoints.save_checkpoint(tmp_path)))
    sampling = Sampling(generations=3, max_new_tokens=12)
    found = generate_rows(source, DATA, sampling)
    assert all(len(set(row.generations)) == 3 for row in found.rows)
