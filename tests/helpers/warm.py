"""New Python processes without the seconds that importing torch and transformers takes.

A process that has imported them waits, and forks for each process that a test wants. The fork gets
arguments, environment, folder and standard streams of its own, and is a child of the test's
process: it has a process id and an exit status, and can be killed. What it starts is warm, too. It
differs from a new interpreter in that some imports are done, and that at the end it does not free
what was imported. Nothing of exleak is imported, nor of a pytest plugin, which pytest rewrites.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import importlib
import inspect
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from importlib.metadata import entry_points
from itertools import takewhile
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

_REAL = subprocess.Popen
_ROOT = Path(__file__).parents[2]
_IMPORTED = (
    "execnet",
    "pytest",
    "safetensors.torch",
    "scipy.stats",
    "sentencex",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "transformers.models.llama.modeling_llama",
)
#: Beginnings of the names of variables that are read when Python starts, or while importing.
_READ_EARLY = ("CUDA", "HF_", "KMP_", "LANG", "LC_", "MKL_", "OMP_", "PYTHON", "TORCH", "TRANSF")
#: Those that each start has of its own, that torch sets itself, or that ray leaves behind, and that
#: Python does not read when it starts.
_FREE = ("PYTHONPATH", "TORCHINDUCTOR_CACHE_DIR", "PYTHONBREAKPOINT")
_PR_SET_CHILD_SUBREAPER = 36
_LONGEST = 2**17


@dataclass(frozen=True)
class _Start:
    """A process to start: its command without the interpreter, and what it finds around it."""

    arguments: list[str]
    environment: dict[str, str]
    folder: str
    own_session: bool


class Zygote:
    """The process that has imported; started when it is first needed, it ends with this one.

    Args:
        environment: What it was, or will be, started with.
        asked: The way to one that is there already.
    """

    def __init__(self, environment: Mapping[str, str], asked: socket.socket | None = None) -> None:
        self._environment, self._asked = dict(environment), asked
        self._process: subprocess.Popen[bytes] | None = None
        self.popen = type("Popen", (_Popen,), {"zygote": self})

    def starts(self, start: _Start) -> bool:
        """Whether code, a script or pytest is to run, with what was there while importing."""
        _, what, *rest = _parts(start.arguments)
        is_code = what in ("-c", "-mpytest") or [what, *rest[:1]] == ["-m", "pytest"]
        is_known = is_code or what.endswith(".py")
        return is_known and _early(start.environment) == _early(self._environment)

    def start(self, start: _Start, streams: list[int]) -> int:
        """Start a process with these standard streams; its id."""
        asked = self._asked or self._begin()
        _adopt_orphans(True)
        try:
            socket.send_fds(asked, [json.dumps(astuple(start)).encode()], streams)
            pid = int(asked.recv(_LONGEST))
            asked.recv(_LONGEST)  # now it is our child
        finally:
            _adopt_orphans(False)
        return pid

    def _begin(self) -> socket.socket:
        self._asked, theirs = _pair()
        with theirs:
            self._process = _REAL(
                [sys.executable, "-m", "tests.helpers.warm", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                # Paths come with each start.
                env={k: v for k, v in self._environment.items() if k != "PYTHONPATH"},
            )
        return self._asked

    def close(self) -> None:
        """End it; what it has started goes on."""
        if self._asked is not None:
            self._asked.close()
        if self._process is not None:
            self._process.wait()


class _Popen(_REAL[Any]):
    """Starts some Python processes as forks; otherwise as its base class does."""

    zygote: Zygote

    def _execute_child(self, *given: Any) -> None:
        cold = super()._execute_child  # type: ignore[misc]
        wanted = inspect.signature(cold).bind(*given).arguments
        start = _start_of(wanted)
        if start is None or not self.zygote.starts(start):
            cold(*given)
            return
        streams = [wanted[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        streams = [own if own != -1 else number for number, own in enumerate(streams)]
        try:
            self.pid = self.zygote.start(start, streams)
            self._child_created = True
        finally:
            ends = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
            self._close_pipe_fds(*map(wanted.get, ends))  # type: ignore[attr-defined]


def _start_of(wanted: Mapping[str, Any]) -> _Start | None:
    """What a process is started with; ``None`` if that is not this Python, or more is wanted."""
    command = wanted["args"]
    if isinstance(command, (str, bytes, os.PathLike)):
        return None
    command = [*map(os.fsdecode, command)]
    more = ("executable", "preexec_fn", "pass_fds", "shell")
    if command[0] != sys.executable or any(wanted[name] for name in more):
        return None
    environment = os.environ if wanted["env"] is None else wanted["env"]
    return _Start(
        command[1:],
        {os.fsdecode(name): os.fsdecode(value) for name, value in environment.items()},
        str(wanted["cwd"] or Path.cwd()),
        wanted["start_new_session"],
    )


def _pair() -> tuple[socket.socket, socket.socket]:
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _parts(arguments: Sequence[str]) -> tuple[Any, ...]:
    """The options that are understood here, what is to be run, and its arguments."""
    options = [*takewhile(lambda part: part in ("-u", "-P"), arguments)]
    return (options, *(arguments[len(options) :] or [""]))


def _early(environment: Mapping[str, str]) -> dict[str, str]:
    return {
        name: value
        for name, value in environment.items()
        if name.startswith(_READ_EARLY) and name not in _FREE
    }


def _adopt_orphans(wanted: bool) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(wanted), 0, 0, 0)


def main() -> None:
    """Import, and fork; returns in a fork, when it has done what was asked of it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asked = socket.socket(fileno=int(sys.argv[1]))
    for name in _IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    environment = dict(os.environ)
    start, streams, further = _forked(asked)
    _prepare(start, streams)
    subprocess.Popen = Zygote(environment, further).popen  # type: ignore[assignment,misc]
    status = 0
    try:
        _run(start.arguments)
    except SystemExit as end:
        status = int(end.code or 0)
    except BaseException:
        traceback.print_exc()
        status = 1
    _end(status)


def _forked(asked: socket.socket) -> tuple[_Start, list[int], socket.socket]:
    """Fork for each message. Returns in the forks: message, streams, the way to further ones."""
    while True:
        message, streams, _, _ = socket.recv_fds(asked, _LONGEST, 3)
        if not message:
            os._exit(0)
        # When a parent ends, the child becomes one of the process that adopts orphans.
        parent = os.fork()
        if not parent:
            parent = os.getpid()
            if pid := os.fork():
                asked.send(str(pid).encode())
                os._exit(0)
            while os.getppid() == parent:
                time.sleep(0.001)  # it is about to end
            asked.close()
            further, asked = _pair()
            if os.fork():
                asked.close()
                return _Start(*json.loads(message)), streams, further
            further.close()
        else:
            os.waitpid(parent, 0)
            asked.send(b"done")
        for stream in streams:
            os.close(stream)


def _prepare(start: _Start, streams: list[int]) -> None:
    """Be a process that was just started."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    if start.own_session:
        os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(start.folder)
    os.environ.clear()
    os.environ.update(start.environment)
    given = start.environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:1] = filter(None, given)
    plugins = {entry.value.partition(".")[0] for entry in entry_points(group="pytest11")}
    # Hypothesis looks for the references to a generator of trio's, and finds none that is frozen.
    others = {"tests", "trio", *plugins}
    for name in [name for name in sys.modules if name.partition(".")[0] in others]:
        del sys.modules[name]


def _run(arguments: list[str]) -> None:
    """What ``python`` does with these arguments."""
    options, what, *rest = _parts(arguments)
    if "-P" not in options:
        begin = Path.cwd() if what.startswith("-m") else Path(what).parent
        sys.path.insert(0, "" if what == "-c" else str(begin))
    if what == "-c":
        sys.argv = ["-c", *rest[1:]]
        sys.modules["__main__"] = main = ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), main.__dict__)
    elif what.startswith("-m"):
        sys.argv = ["pytest", *rest[what == "-m" :]]
        runpy.run_module("pytest", run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what, *rest]
        runpy.run_path(what, run_name="__main__")


def _end(status: int) -> NoReturn:
    """End as Python does, without freeing what was imported one by one."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status)


if __name__ == "__main__":
    main()
