"""Fast detection of an unreachable Hugging Face hub, instead of minutes of silent retries."""

from __future__ import annotations

import fnmatch
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

from exleak.errors import ModelError, one_line

_P = ParamSpec("_P")
_T = TypeVar("_T")
#: Time-out for the hub's answer, and how long the result is cached, in seconds.
_SECONDS, _HOLDS = 8.0, 300.0
_NO_WAY_OUT = 407  # a proxy requires a password
_BUSY = (502, 503, 504)
_log = logging.getLogger("exleak")
_lock = threading.Lock()
_found: dict[str, tuple[float, str | None]] = {}
_said: set[tuple[str, str]] = set()


def bounded(load: Callable[Concatenate[str, _P], _T]) -> Callable[Concatenate[str, _P], _T]:
    """Run a loader, whose first argument is a name, inside :func:`within_reach`."""

    @functools.wraps(load)
    def loading(name: str, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
        with within_reach(name):
            return load(name, *args, **kwargs)

    return loading


def revisions(name: str, pattern: str) -> list[str]:
    """Branches and tags of a hub repository that match a pattern, in no order.

    Without the hub, those in its cache.

    Args:
        name: A hub name.
        pattern: As for :mod:`fnmatch`, for example ``step-*``.

    Raises:
        ModelError: None matches; the message names some that there are.
    """
    found, place = _references(name)
    matching = fnmatch.filter(found, pattern)
    if not matching:
        some = ", ".join(sorted(found)[:5]) or "none"
        raise ModelError(f"no revision of {name} in {place} matches {pattern} (there: {some})")
    return matching


def _references(name: str) -> tuple[list[str], str]:
    """Names of branches and tags, and where they were found."""
    from huggingface_hub import HfApi, constants

    with within_reach(name):
        if not constants.HF_HUB_OFFLINE:
            try:
                listed = HfApi().list_repo_refs(name)
                return [ref.name for ref in (*listed.branches, *listed.tags)], "the hub"
            except Exception as error:  # http.client, requests and httpx raise their own types
                _say(constants.ENDPOINT, one_line(error), name)
    folder = Path(constants.HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "refs"
    paths = [path for path in folder.rglob("*") if path.is_file()]
    return [path.relative_to(folder).as_posix() for path in paths], "the hub's cache"


@contextmanager
def within_reach(name: str) -> Iterator[None]:
    """Context for loading from the hub that uses only its cache if the hub cannot be reached.

    The hub is not checked for a name that is a folder or file, nor with ``HF_HUB_OFFLINE``.
    Otherwise it has a few seconds to answer. If it does not, the logger ``exleak`` warns, and the
    libraries are in offline mode until the end of the block.

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
    """Offline mode, set in every library that may be in use."""
    from huggingface_hub import constants, utils

    places: list[tuple[Any, str]] = [
        (constants, "HF_HUB_OFFLINE"),
        (sys.modules.get("transformers.utils.hub"), "_is_offline_mode"),  # transformers 4
        (sys.modules.get("datasets.config"), "HF_HUB_OFFLINE"),
    ]
    before = [(place, name, getattr(place, name)) for place, name in places if hasattr(place, name)]
    renew = getattr(utils, "reset_sessions", lambda: None)  # sessions of old versions cache it
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
    """Why the hub cannot be reached; ``None`` if it can. The result is cached for a while."""
    with _lock:
        when, problem = _found.get(address, (-_HOLDS, None))
        if time.monotonic() - when >= _HOLDS:
            problem = _asked(address)
            _found[address] = time.monotonic(), problem
        return problem


def _asked(address: str) -> str | None:
    answer: list[str | None] = []
    # A thread, because name resolution has no time-out.
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
    except Exception as error:  # http.client and proxies raise other types
        reason = getattr(error, "reason", error)
        # The libraries may trust other certificates than urllib does.
        return None if isinstance(reason, ssl.SSLError) else str(reason) or type(error).__name__
    return None
