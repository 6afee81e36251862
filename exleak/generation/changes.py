"""Changes of a model that last as long as anybody needs them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import wraps
from typing import TypeVar
from weakref import WeakKeyDictionary

Model = TypeVar("Model")


def while_needed(
    change: Callable[[Model], AbstractContextManager[None]],
) -> Callable[[Model], AbstractContextManager[None]]:
    """Let several runs of one model share a change: the first makes it, the last takes it back.

    Args:
        change: Makes the change on entry, and takes it back on exit.
    """
    lock = threading.Lock()
    changed: WeakKeyDictionary[Model, ExitStack] = WeakKeyDictionary()
    users: WeakKeyDictionary[Model, int] = WeakKeyDictionary()

    @wraps(change)
    @contextmanager
    def shared(model: Model) -> Iterator[None]:
        with lock:
            if not users.get(model):
                changed[model] = ExitStack()
                changed[model].enter_context(change(model))
            users[model] = users.get(model, 0) + 1
        try:
            yield
        finally:
            with lock:
                users[model] -= 1
                if not users[model]:
                    changed.pop(model).close()

    return shared
