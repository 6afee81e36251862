"""The Hugging Face hub: found to be out of reach at once, not after minutes of silent retries."""

from __future__ import annotations

import functools
import logging
import ssl
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")
#: Seconds that the hub has to answer, and that what was found out holds.
_SECONDS, _HOLDS = 8.0, 300.0
_NO_WAY_OUT = 407  # what a proxy says that wants a password
_BUSY = (502, 503, 504)
_log = logging.getLogger("exleak")
_lock = threading.Lock()
_found: dict[str, tuple[float, str | None]] = {}
_said: set[tuple[str, str]] = set()


def bounded(load: Callable[Concatenate[str, _P], _T]) -> Callable[Concatenate[str, _P], _T]:
    """Decorate what loads something by its name, the first argument: see :func:`within_reach`."""

    @functools.wraps(load)
    def loading(name: str, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with within_reach(name):
            return load(name, *args, **kwargs)

    return loading


@contextmanager
def within_reach(name: str) -> Iterator[None]:
    """While something is loaded from the hub: take its cache alone where it cannot be reached.

    A name that is a folder or file needs no hub, and ``HF_HUB_OFFLINE`` says so of every name: then
    nothing is asked. Otherwise the hub has a few seconds to answer. If it does not, the logger
    ``exleak`` says so, and the libraries are in offline mode until the end of the block.

    Args:
        name: A hub name, a folder or a file.
    """
    if Path(name).exists():
        yield
        return
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE or (problem := _problem(constants.ENDPOINT)) is None:
        yield
        return
    _say(constants.ENDPOINT, problem, name)
    with _offline():
        yield


def _say(address: str, problem: str, name: str) -> None:
    if (address, name) not in _said:
        _said.add((address, name))
        _log.warning(
            "the Hugging Face hub (%s) cannot be reached: %s; %s is looked for in its cache alone "
            "(HF_HUB_OFFLINE=1 asks for that from the start)",
            address,
            problem,
            name,
        )


@contextmanager
def _offline() -> Iterator[None]:
    """Offline mode, in every place where a library keeps it."""
    from huggingface_hub import constants, utils

    places: list[tuple[Any, str]] = [
        (constants, "HF_HUB_OFFLINE"),
        (sys.modules.get("transformers.utils.hub"), "_is_offline_mode"),  # transformers 4
        (sys.modules.get("datasets.config"), "HF_HUB_OFFLINE"),
    ]
    before = [(place, name, getattr(place, name)) for place, name in places if hasattr(place, name)]
    renew = getattr(utils, "reset_sessions", lambda: None)  # old sessions know it when made
    try:
        for place, name, _ in before:
            setattr(place, name, True)
        renew()
        yield
    finally:
        for place, name, value in before:
            setattr(place, name, value)
        renew()


def _problem(address: str) -> str | None:
    """Why the hub cannot be reached; ``None`` if it can. Asked again only after a while."""
    with _lock:
        when, problem = _found.get(address, (-_HOLDS, None))
        if time.monotonic() - when >= _HOLDS:
            problem = _asked(address)
            _found[address] = time.monotonic(), problem
        return problem


def _asked(address: str) -> str | None:
    answer: list[str | None] = []
    # A thread, because looking up a name obeys no time-out.
    thread = threading.Thread(target=lambda: answer.append(_ask(address)), daemon=True)
    thread.start()
    thread.join(_SECONDS)
    return answer[0] if answer else f"no answer within {_SECONDS:.0f} seconds"


def _ask(address: str) -> str | None:
    request = urllib.request.Request(address, method="HEAD", headers={"User-Agent": "exleak"})
    try:
        urllib.request.urlopen(request, timeout=_SECONDS).close()
    except urllib.error.HTTPError as error:
        return f"HTTP {error.code}" if error.code in (*_BUSY, _NO_WAY_OUT) else None
    except Exception as error:  # http.client and proxies raise types of their own
        reason = getattr(error, "reason", error)
        # The libraries may trust other certificates than urllib does.
        return None if isinstance(reason, ssl.SSLError) else str(reason) or type(error).__name__
    return None
