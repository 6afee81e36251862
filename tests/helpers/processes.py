"""Two processes of a distributed training on this machine, over gloo."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path


def two_processes(work: str, *folders: Path) -> str:
    """Call a function in two processes, and return what both printed.

    Args:
        work: The function, as ``module:name``; ``RANK`` and so on are in its environment.
        folders: Its arguments.

    Raises:
        AssertionError: A process failed; with what they printed.
    """
    module, name = work.split(":")
    code = (
        f"from pathlib import Path; from {module} import {name}; "
        f"{name}(*map(Path, {[str(folder) for folder in folders]!r}))"
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port),
              "OMP_NUM_THREADS": "1"}  # fmt: skip
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={**os.environ, **shared, "RANK": str(rank), "LOCAL_RANK": str(rank)}, text=True,
        )
        for rank in range(2)
    ]  # fmt: skip
    said = "".join(process.communicate(timeout=300)[0] for process in both)
    assert [process.returncode for process in both] == [0, 0], said
    return said
