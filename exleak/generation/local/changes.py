"""Temporary changes to a model that several runs can share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import wraps
from typing import Generic, TypeVar

Thing = TypeVar("Thing")


@dataclass
class _Use(Generic[Thing]):
    """A changed object, the stack that undoes the change, and the number of its users."""

    thing: Thing
    change: ExitStack
    users: int = 0


def while_needed(
    change: Callable[[Thing], AbstractContextManager[None]],
) -> Callable[[Thing], AbstractContextManager[None]]:
    """Let several runs share a change to one object: the first applies it, the last undoes it.

    Args:
        change: Applies the change on entry, and undoes it on exit.
    """
    # Reentrant: the garbage collector may end an abandoned run while another one begins.
    lock = threading.RLock()
    uses: dict[int, _Use[Thing]] = {}

    @wraps(change)
    @contextmanager
    def shared(thing: Thing) -> Iterator[None]:
        key = id(thing)
        with lock:
            if key not in uses:
                stack = ExitStack()
                stack.enter_context(change(thing))
                uses[key] = _Use(thing, stack)
            uses[key].users += 1
        try:
            yield
        finally:
            with lock:
                uses[key].users -= 1
                if not uses[key].users:
                    uses.pop(key).change.close()

    return shared
