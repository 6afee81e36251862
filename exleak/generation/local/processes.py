"""A process of its own that holds one copy of a model, and ends with this one.

The process is a new interpreter, which imports nothing of the user's program. Messages are pickled
and go through its standard input and output. It ends as soon as its input does, and so also when
this process is killed.
"""

from __future__ import annotations

import os
import pickle
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

from exleak.errors import ModelError

_ERRORS = (EOFError, OSError, pickle.UnpicklingError)


class Replica:
    """A copy of a model on another device, in a process of its own.

    Args:
        name: The model's name, for messages.
        device: The device of the copy.
        load: Loads the model on a device; pickled.
        serve: ``module:function``, called in the process; its :class:`Parent` sends ``load``.
    """

    def __init__(self, name: str, device: str, load: Callable[[], Any], serve: str) -> None:
        self.name, self.device, self.busy = name, device, False
        self._load, self._serve = load, serve
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """The process; ``None`` if there is none."""
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process, which begins to load the model; do nothing if there is one."""
        if self._process is not None:
            return
        module, _, function = self._serve.partition(":")
        # A session of its own: Ctrl-C reaches this process alone, which then ends the others. The
        # files are those that this process has loaded, whatever the hub has by now.
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", f"from {module} import {function}; {function}()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "HF_HUB_OFFLINE": "1"},
            start_new_session=True,
        )
        weakref.finalize(self, _end, self._process)
        self.send(self._load)

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            ModelError: The process has ended.
        """
        process = self._running()
        content = pickle.dumps(message)
        try:
            assert process.stdin is not None
            pickle.dump(content, process.stdin)
            process.stdin.flush()
        except OSError:
            raise self._ended(process) from None

    def receive(self) -> Any:
        """The next message.

        Raises:
            ModelError: The process has ended.
            ExleakError: What the process raised.
        """
        process = self._running()
        try:
            assert process.stdout is not None
            message = pickle.load(process.stdout)
        except _ERRORS:
            raise self._ended(process) from None
        if isinstance(message, BaseException):
            raise message
        return message

    def _running(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise ModelError(f"model {self.name}: its process on {self.device} was stopped")
        return self._process

    def _ended(self, process: subprocess.Popen[bytes]) -> ModelError:
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        return ModelError(
            f"model {self.name}: its process on {self.device} ended by itself (exit status "
            f"{process.poll()}); was there enough memory for another copy of the model?"
        )

    def stop(self) -> None:
        """End the process at once, if there is one; :meth:`start` starts another."""
        if self._process is not None:
            _end(self._process)
        self._process, self.busy = None, False


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with suppress(OSError):  # what was not written yet
                stream.close()


class Parent:
    """The other end, in the process of a :class:`Replica`: what was sent, and the way back.

    Whatever else the process prints goes to standard error.
    """

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "wb")
        os.dup2(2, 1)
        self._sent: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        # Messages are unpickled elsewhere: that may import torch, and the end must be noticed.
        with suppress(*_ERRORS):
            while True:
                self._sent.put(pickle.load(sys.stdin.buffer))
        os._exit(1)

    def messages(self) -> Iterator[Any]:
        """What was sent, without end."""
        while True:
            yield pickle.loads(self._sent.get())

    def send(self, message: Any) -> None:
        """Send a message; an exception is raised at the other end."""
        self._out.write(pickle.dumps(message))
        self._out.flush()
