"""The fake server as a program that exleak can start, with a child that leaves its group."""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.helpers.server import Fake


def main() -> None:
    """Serve; write the process ids of each start into a folder."""
    parser = argparse.ArgumentParser()
    parser.add_argument("verb")
    parser.add_argument("path")
    parser.add_argument("--served-model-name")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--pids", type=Path)
    parser.add_argument("--fails", action="store_true")
    parser.add_argument("--hangs", action="store_true", help="never listens")
    parser.add_argument("--stubborn", action="store_true", help="ignores SIGTERM")
    parser.add_argument("--dies-after", type=int, default=10**9, help="continuations")
    parser.add_argument("--delay", type=float, default=0.0)
    options = parser.parse_args()
    if options.stubborn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    child = subprocess.Popen(["sleep", "600"], start_new_session=True)
    (options.pids / str(os.getpid())).write_text(f"{os.getpid()} {child.pid}")
    print("the fake server starts")
    if options.fails:
        print("no memory is left", flush=True)
        sys.exit(3)
    if options.hangs:
        time.sleep(600)

    def die(*_: object) -> None:
        print("a kernel was lost", flush=True)
        os._exit(9)

    fake = Fake(port=options.port, delay=options.delay, fault=die, healthy=options.dies_after)
    with fake:
        threading.Event().wait()


if __name__ == "__main__":
    main()
