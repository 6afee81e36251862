"""A server that processes of a session use, and the pipe by which its supervisor knows of them."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

#: Seconds that a server has to end by itself.
GRACE = 10.0
#: Seconds in which a supervisor notices, on a busy machine, that nobody needs its server any more.
_NOTICED = 5.0
_PAUSE = 0.05
_LINES = 20
_LOG_BYTES = 2**16


@dataclass
class Running:
    """A server that this process needs, until :meth:`close`.

    Attributes:
        title: What was started, for messages.
        url: Its address.
        log: The file with its output.
    """

    title: str
    url: str
    log: Path
    pipe: Path
    end: int
    process: subprocess.Popen[bytes] | None = None

    def told(self) -> str:
        """The last lines of the server's log, and whether it still runs."""
        status = self.process.poll() if self.process else None
        state = f"it ended with status {status}" if status is not None else "the end of its log"
        return f"{self.title}: {state}; the whole log is {self.log}\n{tail(self.log)}"

    def is_alive(self) -> bool:
        """Whether the server runs, and is not about to end."""
        end = join(self.pipe)
        if end is not None:
            os.close(end)
        return end is not None

    def close(self) -> None:
        """Stop using the server; wait for its end if nobody else uses it."""
        _close(self.end)
        deadline = time.monotonic() + _NOTICED
        while self.is_alive():
            if time.monotonic() > deadline:
                return  # another process of this session uses it
            time.sleep(_PAUSE)
        wait_for_end(self.pipe)
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)


def tail(log: Path, lines: int = _LINES) -> str:
    """The last lines of a log, as printable text."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - _LOG_BYTES))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    last = text.rstrip().splitlines()[-lines:]
    return "\n".join("".join(c if c.isprintable() else " " for c in line)[:400] for line in last)


def join(pipe: Path) -> int | None:
    """An end of a server's pipe; ``None`` if it has ended or is about to."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


#: Ends of pipes that this process holds.
_ends: set[int] = set()


def held(end: int) -> int:
    """Keep an end of a pipe until it is closed, or this process ends."""
    _ends.add(end)
    return end


def _close(*ends: int) -> None:
    for end in {*ends} & _ends:
        _ends.remove(end)
        os.close(end)


if hasattr(os, "register_at_fork"):  # a copy in a forked child would keep the server alive
    os.register_at_fork(after_in_child=lambda: _close(*_ends))


def wait_for_end(pipe: Path) -> None:
    """Wait until a supervisor has ended its server, which removes the pipe, or was killed."""
    deadline = time.monotonic() + 2 * GRACE
    while pipe.exists() and time.monotonic() < deadline:
        time.sleep(_PAUSE)
