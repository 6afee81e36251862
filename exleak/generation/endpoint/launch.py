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

from exleak.errors import ModelError, SettingsError
from exleak.files import write_text
from exleak.generation.endpoint import kinds, running, supervisor
from exleak.generation.endpoint.running import Running, held, join, tail, wait_for_end

_log = logging.getLogger("exleak")

START_TIMEOUT = 600.0
_LONGEST = 1e6
_PAUSE = 0.2
#: Seconds between two messages on a server that is awaited.
_SAID_AGAIN = 30.0


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
            server = _joined(self.folder, name, order) or _started(self.folder, name, order)
        self._used[name] = server
        return server

    def close(self) -> None:
        """Stop using all servers; those that nobody else uses end before this returns."""
        while self._used:
            self._used.popitem()[1].close()


@dataclass(frozen=True)
class Launch:
    """The server to start.

    Attributes:
        kind: A key of :data:`exleak.generation.endpoint.kinds.KINDS`.
        command: Its command, which may lie in another environment; by default it is looked for.
        arguments: Further arguments, split as a shell splits them.
        timeout: Seconds that starting may take.
        servers: The servers of the session; by default one of its own, ended with the source.
    """

    kind: str
    command: str | None = None
    arguments: str | None = None
    timeout: float = START_TIMEOUT
    servers: Servers | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        kinds.kind_of(self.kind)
        if not 0 < self.timeout < _LONGEST:
            raise SettingsError(
                f"--leakage-server-timeout must be above 0 and below {_LONGEST:.0f} seconds, not "
                f"{self.timeout}"
            )
        _ = self.command_words, self.argument_words

    @property
    def command_words(self) -> list[str]:
        """The command as words; empty without one."""
        return kinds.words(self.command, "--leakage-server-command")

    @property
    def argument_words(self) -> list[str]:
        """The further arguments as words."""
        return kinds.words(self.arguments, "--leakage-server-args")


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
    end = join(pipe)
    if end is None:
        return None
    return Running(order.title, found["url"], folder / f"{name}.log", pipe, held(end))


def _started(folder: Path, name: str, order: Order) -> Running:
    """Start a server; a failure is left in the folder, for the other processes."""
    found = _spawned(folder / f"{name}.log", folder / f"{name}.pipe", order)
    state = {"pipe": str(found.pipe), "url": found.url}
    try:
        _await_health(found, order)
    except BaseException as error:
        if isinstance(error, ModelError):
            state["failure"] = str(error)
        found.close()
        raise
    finally:
        write_text(folder / f"{name}.json", json.dumps(state))
    return found


def _spawned(log: Path, pipe: Path, order: Order) -> Running:
    if not hasattr(os, "mkfifo"):
        raise ModelError(
            f"{order.title}: exleak starts servers on Linux and macOS only; start it yourself, and "
            "give its address with --leakage-endpoint"
        )
    wait_for_end(pipe)
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe, 0o600)
    port = _free_port()
    start = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    end = held(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    script = [sys.executable, "-IS", supervisor.__file__, str(pipe), str(running.GRACE)]
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
    return Running(order.title, f"http://127.0.0.1:{port}", log, pipe, end, process)


def _await_health(server: Running, order: Order) -> None:
    """Wait until a server is ready.

    Raises:
        ModelError: It has ended, or it takes too long.
    """
    assert server.process is not None
    started = said = time.monotonic()
    _log.warning("starting %s; its log is %s", server.title, server.log)
    while (seconds := time.monotonic() - started) < order.timeout:
        ready = _is_ready(f"{server.url}/{order.health}")
        if server.process.poll() is not None:
            raise ModelError(f"{server.title} could not be started; {server.told()}")
        if ready:
            _log.warning("%s is ready after %.0f s", server.title, seconds)
            return
        if time.monotonic() - said > _SAID_AGAIN:
            said = time.monotonic()
            last = tail(server.log, 1)
            _log.warning(
                "waiting for %s: %.0f of at most %.0f s: %s",
                *(server.title, seconds, order.timeout, last),
            )
        time.sleep(_PAUSE)
    raise ModelError(
        f"{server.title} was not ready after {order.timeout:.0f} s (--leakage-server-timeout); "
        f"{server.told()}"
    )


def _is_ready(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, ValueError):
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
