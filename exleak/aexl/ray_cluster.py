"""Connection to a Ray cluster that fails fast if the cluster does not answer.

Ray itself tries an address that does not answer for minutes, without a message.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import threading
from urllib.parse import urlsplit

from exleak.errors import SettingsError

_ADDRESS = "RAY_ADDRESS"
#: Time-outs, in seconds, for opening a connection and for joining the cluster.
_ANSWER, _JOIN = 5.0, 90.0
#: Special addresses, for which Ray finds or starts the cluster itself.
_NAMES = ("", "auto", "local")
_log = logging.getLogger("exleak")


def connect() -> None:
    """Join the cluster that ``RAY_ADDRESS`` names, or start Ray on this machine.

    Raises:
        SettingsError: The cluster does not answer, or does not let this process join in time.
    """
    address = os.environ.get(_ADDRESS, "").strip()
    if address not in _NAMES:
        _check(address)
        _log.warning("joining the Ray cluster of %s=%s", _ADDRESS, address)
    outcome: queue.SimpleQueue[Exception | None] = queue.SimpleQueue()
    # A thread, because ray.init has no time-out.
    threading.Thread(target=_join, args=(outcome,), daemon=True, name="exleak-ray").start()
    try:
        failure = outcome.get(timeout=_JOIN)
    except queue.Empty:
        reason = f"it did not let this process join within {_JOIN:.0f} seconds"
        raise _error(address, reason) from None
    if failure is not None:
        raise _error(address, str(failure).strip().split("\n")[0]) from failure


def _join(outcome: queue.SimpleQueue[Exception | None]) -> None:
    import ray

    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises its own and builtin exception types
        outcome.put(error)
        return
    outcome.put(None)
    # On Linux, the processes that Ray has started end with the thread that started them.
    threading.Event().wait()


def _check(address: str) -> None:
    try:
        parts = urlsplit(address if "//" in address else f"//{address}")
        place = parts.hostname, parts.port
    except ValueError:
        place = None, None
    host, port = place
    if not host or port is None:
        return  # an address in a form that only Ray understands
    try:
        socket.create_connection((host, port), timeout=_ANSWER).close()
    except OSError as error:
        raise _error(address, f"nothing answers there ({error})") from None


def _error(address: str, problem: str) -> SettingsError:
    if not address:
        return SettingsError(f"--engine ray: Ray could not be started here: {problem}")
    return SettingsError(
        f"--engine ray: {_ADDRESS} is {address!r}, and {problem}; start the cluster, correct "
        f"{_ADDRESS}, or unset it to use Ray on this machine"
    )
