"""The fake server as a program that exleak can start, with a child that leaves its group."""

from __future__ import annotations

import argparse
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.helpers.server import Fake, is_probe

#: The command, as a user would give it.
COMMAND = shlex.join([sys.executable, str(Path(__file__))])


class Counting(Fake):
    """Writes a byte into a file for each request that is no probe."""

    count: Path

    def answer(self, path: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        """As of the fake server."""
        if not is_probe(body):
            with self.count.open("ab") as file:
                file.write(b".")
        return super().answer(path, body)


def main() -> None:
    """Serve; leave a file with the process ids of each start in a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--traces", type=Path, required=True)
    parser.add_argument("--fails", action="store_true")
    parser.add_argument("--hangs", action="store_true", help="never listens")
    parser.add_argument("--stubborn", action="store_true", help="ignores SIGTERM")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds of an answer")
    parser.add_argument("--dies", type=Path, help="a file: dies after 5 answers, and removes it")
    parser.add_argument("--ignores", default=(), nargs=1, help="a setting")
    options, _ = parser.parse_known_args()
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    trace = options.traces / str(os.getpid())
    trace.with_suffix(".pids").write_text(f"{os.getpid()} {child.pid}")
    print("the fake server starts", flush=True)
    if options.fails:
        print("no memory is left", flush=True)
        sys.exit(3)
    if options.hangs:
        time.sleep(600)

    def die(*_: object) -> None:
        options.dies.unlink()
        print("a kernel was lost", flush=True)
        os._exit(9)

    ignored = frozenset(options.ignores)
    server = Counting(port=options.port, delay=options.delay, ignores=ignored)
    server.count = trace.with_suffix(".count")
    if options.dies and options.dies.exists():
        server.fault, server.healthy = die, 5
    with server:
        threading.Event().wait()


def starts(traces: Path) -> int:
    """How often the server was started."""
    return len([*traces.glob("*.pids")])


def given(traces: Path) -> list[int]:
    """How many answers each of the servers gave that gave any."""
    return sorted(path.stat().st_size for path in traces.glob("*.count"))


def are_gone(traces: Path, seconds: float = 15) -> bool:
    """Whether all processes of all servers end within some seconds; there was at least one."""
    pids = [int(pid) for path in traces.glob("*.pids") for pid in path.read_text().split()]
    deadline = time.monotonic() + seconds
    while left := [pid for pid in pids if _is_there(pid)]:
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            return False
        time.sleep(0.05)
    return bool(pids)


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


if __name__ == "__main__":
    main()
