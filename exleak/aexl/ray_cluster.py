"""Connection to a Ray cluster that fails fast if the cluster does not answer.

Ray itself tries an address that does not answer for minutes, without a message.
"""

from __future__ import annotations

import logging
import os
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
    failures: list[BaseException] = []
    # A thread, because ray.init has no time-out.
    thread = threading.Thread(target=_join, args=(failures,), daemon=True, name="exleak-ray")
    thread.start()
    thread.join(_JOIN)
    if thread.is_alive():
        raise _error(address, f"it did not let this process join within {_JOIN:.0f} seconds")
    if failures:
        raise _error(address, str(failures[0]).strip().split("\n")[0]) from failures[0]


def _join(failures: list[BaseException]) -> None:
    import ray

    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises its own and builtin exception types
        failures.append(error)


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
