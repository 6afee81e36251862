"""Remarks: messages to the user about problems that do not stop the work.

Examples are a lack of memory, a store that cannot be written to, or a fallback to a slower method.
Remarks are issued as warnings, except in a pytest session, which collects them: there, warnings may
be errors (``filterwarnings = error``), and a remark must not end a measurement.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


def remark(text: str, category: type[Warning] = UserWarning, stacklevel: int = 2) -> None:
    """Pass a remark to the innermost listener; without one, warn.

    Args:
        text: The message.
        category, stacklevel: Category and stack level of the warning.
    """
    if _listeners:
        _listeners[-1](text)
    else:
        warnings.warn(text, category, stacklevel=stacklevel + 1)


@contextmanager
def heard(listener: Callable[[str], None]) -> Iterator[None]:
    """Pass remarks to a listener, and prevent warnings of libraries from becoming errors.

    Args:
        listener: Callback, called with each remark in the thread that makes it.
    """
    _listeners.append(listener)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        _listeners.remove(listener)
