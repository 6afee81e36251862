"""Changes of a model that last as long as anybody needs them."""

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
    """A thing that is changed, what takes the change back, and how many need it."""

    thing: Thing
    change: ExitStack
    users: int = 0


def while_needed(
    change: Callable[[Thing], AbstractContextManager[None]],
) -> Callable[[Thing], AbstractContextManager[None]]:
    """Let several runs share a change of one thing: the first makes it, the last takes it back.

    Args:
        change: Makes the change on entry, and takes it back on exit.
    """
    # The collector of garbage may end a run that was given up while another one begins.
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
