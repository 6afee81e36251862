"""Processes that start with their imports done: those of a new interpreter in all that matters."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs Linux"),
    pytest.mark.usefixtures("warm"),
]

#: Says whose process it is, what it has imported, where and with what it runs; starts another one.
CODE = """
import os, subprocess, sys
plugins = ("exleak", "leakage_fixtures", "hypothesis", "xdist", "syrupy", "tests", "trio")
print(os.getppid(), "torch" in sys.modules, not {*plugins} & {*sys.modules}, os.getcwd(),
      sys.argv[1], os.environ["WORD"], sys.stdin.read(), flush=True)
subprocess.run([sys.executable, "-c", "import sys; print('torch' in sys.modules); sys.exit(7)"])
sys.exit(int(sys.argv[1]))
"""


def run(tmp_path: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the code in a folder."""
    return subprocess.run(
        [sys.executable, "-c", CODE, "5"], cwd=tmp_path, env={**os.environ, "WORD": "one",
        **environment}, input="two", capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_process_is_a_child_with_its_own_surroundings(tmp_path: Path) -> None:
    """Its parent, folder, arguments, variables, streams and status; torch is there, exleak not."""
    found = run(tmp_path)
    assert found.stdout == f"{os.getpid()} True True {tmp_path} 5 one two\nTrue\n"
    assert (found.returncode, found.stderr) == (5, "")


def test_other_variables_need_a_new_interpreter(tmp_path: Path) -> None:
    """Those that are read while importing."""
    found = run(tmp_path, OMP_NUM_THREADS="1234")
    assert found.stdout == f"{os.getpid()} False True {tmp_path} 5 one two\nFalse\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_can_be_ended(number: signal.Signals) -> None:
    """By its id, with the status of the signal."""
    command = [sys.executable, "-c", "import time; print('ready', flush=True); time.sleep(60)"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert os.getsid(process.pid) == process.pid
        os.kill(process.pid, number)
        assert process.wait() == -number
