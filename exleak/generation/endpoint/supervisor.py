"""Runs a server until its last user has gone; a process of its own, which survives its users.

Standard input is a named pipe whose other ends the users hold. The system closes them when a
process ends, however it ends, so that even after ``kill -9`` of every user the server is ended.
It runs as a script, without the rest of exleak, and imports only the standard library.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_PAUSE = 0.1
_PR_SET_CHILD_SUBREAPER = 36
#: Exit status, as of a shell, for a command that cannot be run.
_CANNOT_RUN = 127


def main(arguments: list[str]) -> int:
    """Run a command until it ends or standard input does; then end all its processes.

    Args:
        arguments: The pipe's path, which is removed at the end; seconds from SIGTERM to SIGKILL;
            the command.

    Returns:
        The command's exit status; 0 if standard input ended first.
    """
    pipe, grace, *command = arguments
    stopped: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: stopped.append(number))
    _adopt_orphans()
    try:
        server = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        print(f"cannot be run: {error}", file=sys.stderr)
        Path(pipe).unlink(missing_ok=True)
        return _CANNOT_RUN
    status = None
    while status is None and not stopped and not _input_ended():
        status = _reap(server.pid)
    os.close(0)  # from now on, nobody can join
    _end_all(server.pid, float(grace))
    Path(pipe).unlink(missing_ok=True)
    return 0 if status is None else status


def _adopt_orphans() -> None:
    """On Linux, become the parent of grandchildren that are left, so that they can be found."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def _input_ended() -> bool:
    """Whether the last writer has closed the pipe; waits a moment if not."""
    if not select.select([0], [], [], _PAUSE)[0]:
        return False
    try:
        return not os.read(0, 4096)
    except BlockingIOError:
        return False


def _reap(server: int) -> int | None:
    """Collect the processes that have ended; the server's exit status if it is among them."""
    status = None
    with contextlib.suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            if ended[0] == server:
                code = os.waitstatus_to_exitcode(ended[1])
                status = code if code >= 0 else 128 - code
    return status


def _end_all(server: int, grace: float) -> None:
    """End the server's process group, and the descendants that left it."""
    known = _descendants()
    _send(signal.SIGTERM, server, known)
    deadline = time.monotonic() + grace
    while left := _left(server, known):
        if time.monotonic() > deadline:
            _send(signal.SIGKILL, server, left)
        time.sleep(_PAUSE)


def _left(server: int, known: set[int]) -> set[int]:
    """The processes that still run; the negative number stands for the group."""
    _reap(server)
    known |= _descendants()
    return {pid for pid in (*known, -server) if _is_there(pid)}


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except OSError:
        return False
    return True


def _send(number: signal.Signals, server: int, pids: set[int]) -> None:
    """Send a signal once: to the group, and to the processes that are not in it."""
    for pid in (-server, *pids):
        with contextlib.suppress(OSError):
            if pid < 0 or os.getpgid(pid) != server:
                os.kill(pid, number)


def _descendants() -> set[int]:
    """Processes below this one."""
    parents = _parents()
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def _parents() -> dict[int, int]:
    """The parent of each process, from /proc or else from ``ps``."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(path.parent.name)] = int(fields[1])
    if parents:
        return parents
    with contextlib.suppress(OSError, ValueError):
        listing = subprocess.Popen(["ps", "-A", "-o", "pid=,ppid="], stdout=subprocess.PIPE)
        text, _ = listing.communicate()
        rows = map(str.split, text.decode().splitlines())
        parents = {int(pid): int(parent) for pid, parent in rows}
        parents.pop(listing.pid, None)
    return parents


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
