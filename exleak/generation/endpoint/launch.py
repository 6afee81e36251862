"""Servers that exleak starts: one for each model and session, and none after it.

The processes of a session, xdist's workers, find each other's servers in a folder that they share.
A server is run by a :mod:`supervisor <exleak.generation.endpoint.supervisor>`, which ends it when
the last process has closed its end of a named pipe.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from exleak.errors import ModelError
from exleak.files import write_text
from exleak.generation.endpoint import supervisor

_log = logging.getLogger("exleak")

#: Seconds that a server has to end by itself.
GRACE = 10.0
#: Seconds in which a server notices that nobody needs it any more.
_NOTICED = 2.0
_PAUSE = 0.2
#: Seconds between two messages on a server that is awaited.
_SAID_AGAIN = 30.0
_LINES = 20
_LOG_BYTES = 2**16


@dataclass(frozen=True)
class Order:
    """What to start.

    Attributes:
        title: What is started, for messages.
        command: The command line for a port.
        health: The path that answers with 200 once the server is ready.
        timeout: Seconds that starting may take.
    """

    title: str
    command: Callable[[int], list[str]]
    health: str
    timeout: float


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
        end = _join(self.pipe)
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
            time.sleep(_PAUSE / 4)
        _wait_for_end(self.pipe)
        if self.process:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(GRACE)


@dataclass
class Servers:
    """The servers that a process of a session uses: at most one at a time.

    Attributes:
        folder: Shared by the session's processes; holds logs.
    """

    folder: Path
    _used: dict[str, Running] = field(default_factory=dict)

    def get(self, order: Order) -> Running:
        """The server of an order; started unless a process of the session has done so.

        Raises:
            ModelError: It could not be started; the message has the end of its log.
        """
        name = hashlib.sha256(repr(order.command(0)).encode()).hexdigest()[:12]
        if name in self._used and self._used[name].is_alive():
            return self._used[name]
        self.close()  # two models at once may not fit into the GPU's memory
        self.folder.mkdir(parents=True, exist_ok=True)
        with _locked(self.folder / f"{name}.lock", order):
            running = _joined(self.folder, name, order) or _started(self.folder, name, order)
        self._used[name] = running
        return running

    def close(self) -> None:
        """Stop using all servers; those that nobody else uses end before this returns."""
        while self._used:
            self._used.popitem()[1].close()


@contextlib.contextmanager
def _locked(path: Path, order: Order) -> Iterator[None]:
    from filelock import FileLock, Timeout

    lock = FileLock(path)
    try:
        lock.acquire(timeout=1)
    except Timeout:
        _log.warning("waiting for %s, which another process starts", order.title)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _joined(folder: Path, name: str, order: Order) -> Running | None:
    """The server that another process of the session has started; ``None`` if none runs."""
    state = folder / f"{name}.json"
    if not state.is_file():
        return None
    found = json.loads(state.read_text(encoding="utf-8"))
    if failure := found.get("failure"):
        raise ModelError(failure)
    pipe = Path(found["pipe"])
    end = _join(pipe)
    if end is None:
        return None
    return Running(order.title, found["url"], folder / f"{name}.log", pipe, _held(end))


def _started(folder: Path, name: str, order: Order) -> Running:
    if not hasattr(os, "mkfifo"):
        raise ModelError(
            f"{order.title}: exleak starts servers on Linux and macOS only; start it yourself, and "
            "give its address with --leakage-endpoint"
        )
    log, pipe = folder / f"{name}.log", folder / f"{name}.pipe"
    _wait_for_end(pipe)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe, 0o600)
    port = _free_port()
    start = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    end = _held(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    script = [sys.executable, "-IS", supervisor.__file__, str(pipe), str(GRACE)]
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*script, *order.command(port)],
                stdin=start,
                stdout=output,
                stderr=output,
                start_new_session=True,  # Ctrl-C reaches pytest alone, which then ends it
            )
    finally:
        os.close(start)
    running = Running(order.title, f"http://127.0.0.1:{port}", log, pipe, end, process)
    state = {"pipe": str(pipe), "url": running.url}
    try:
        _await_health(running, order)
    except ModelError as error:
        state["failure"] = str(error)
        running.close()
        raise
    except BaseException:
        running.close()
        raise
    finally:
        write_text(folder / f"{name}.json", json.dumps(state))
    return running


def _await_health(running: Running, order: Order) -> None:
    """Wait until a server is ready.

    Raises:
        ModelError: It has ended, or it takes too long.
    """
    assert running.process is not None
    started = said = time.monotonic()
    _log.warning("starting %s; its log is %s", running.title, running.log)
    while (seconds := time.monotonic() - started) < order.timeout:
        ready = _is_ready(f"{running.url}/{order.health}")
        if running.process.poll() is not None:
            raise ModelError(f"{running.title} could not be started; {running.told()}")
        if ready:
            _log.warning("%s is ready after %.0f s", running.title, seconds)
            return
        if time.monotonic() - said > _SAID_AGAIN:
            said = time.monotonic()
            last = tail(running.log, 1)
            _log.warning(
                "waiting for %s: %.0f of at most %.0f s: %s",
                *(running.title, seconds, order.timeout, last),
            )
        time.sleep(_PAUSE)
    raise ModelError(
        f"{running.title} was not ready after {order.timeout:.0f} s (--leakage-server-timeout); "
        f"{running.told()}"
    )


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _join(pipe: Path) -> int | None:
    """An end of a server's pipe; ``None`` if it has ended or is about to."""
    try:
        return os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
    except OSError:
        return None


#: Ends of pipes that this process holds.
_ends: set[int] = set()


def _held(end: int) -> int:
    _ends.add(end)
    return end


def _close(*ends: int) -> None:
    for end in {*ends} & _ends:
        _ends.remove(end)
        os.close(end)


if hasattr(os, "register_at_fork"):  # a copy in a forked child would keep the server alive
    os.register_at_fork(after_in_child=lambda: _close(*_ends))


def _wait_for_end(pipe: Path) -> None:
    """Wait until a supervisor has ended its server, which removes the pipe, or was killed."""
    deadline = time.monotonic() + 2 * GRACE
    while pipe.exists() and time.monotonic() < deadline:
        time.sleep(_PAUSE / 4)
