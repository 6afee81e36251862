"""Remarks: what a user should hear of, while the work goes on.

Memory that ran out, a store that cannot be written to, a slower way that had to be taken. In a
program they are warnings. A pytest session collects them instead: there, warnings may be errors
(``filterwarnings = error``), and a remark must not end a measurement.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_listeners: list[Callable[[str], None]] = []


def remark(text: str, category: type[Warning] = UserWarning, stacklevel: int = 2) -> None:
    """Tell the innermost listener; without one, warn.

    Args:
        text: What there is to say.
        category, stacklevel: Of the warning.
    """
    if _listeners:
        _listeners[-1](text)
    else:
        warnings.warn(text, category, stacklevel=stacklevel + 1)


@contextmanager
def heard(listener: Callable[[str], None]) -> Iterator[None]:
    """Pass remarks to a listener, and let no warning of any library become an error.

    Args:
        listener: Called with each remark, from whichever thread makes it.
    """
    _listeners.append(listener)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            yield
    finally:
        _listeners.remove(listener)
