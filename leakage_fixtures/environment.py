"""Settings from the environment: ``EXLEAK_`` and the name of an option, as in ``EXLEAK_MAX_RATE``.

A repeatable option takes one value a line, or all in one line with semicolons between them. Not
``os.pathsep``: the colon is part of addresses and of ``BASE:ADAPTER``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from leakage_fixtures.options import OPTIONS, PREFIX, Option

#: Variables of exleak that are no options.
OTHERS = ("EXLEAK_API_KEY", "EXLEAK_ANNOTATIONS")
_FLAGS = {"1": True, "true": True, "yes": True, "on": True,
          "0": False, "false": False, "no": False, "off": False}  # fmt: skip


def value(option: Option) -> Any:
    """The value of an option's variable; ``None`` if it is unset or empty.

    Raises:
        pytest.UsageError: The variable of a flag is neither true nor false.
    """
    text = os.environ.get(option.variable, "")
    if not text.strip():
        return None
    if option.repeatable:
        items = text.split("\n" if "\n" in text else ";")
        return [item.strip() for item in items if item.strip()] or None
    if not option.flag:
        return text
    if text.strip().lower() not in _FLAGS:
        raise pytest.UsageError(f"{option.variable}: {text!r} is neither true nor false (1 or 0)")
    return _FLAGS[text.strip().lower()]


@contextmanager
def blamed(config: pytest.Config) -> Iterator[None]:
    """Name the variables that are in effect in a usage error, which may be due to them."""
    try:
        yield
    except pytest.UsageError as error:
        said = str(error)
        names = [
            option.variable
            for option in OPTIONS
            if config.getoption(option.dest) is None and value(option) is not None
        ]
        if not names or any(name in said for name in names):
            raise
        raise pytest.UsageError(f"{said} (the environment sets {', '.join(names)})") from None


def unknown() -> Iterator[str]:
    """A remark on each variable that looks like one of exleak's and is none."""
    known = (*(option.variable for option in OPTIONS), *OTHERS)
    for name in sorted(os.environ):
        if name.startswith(PREFIX) and name not in known:
            from difflib import get_close_matches

            near = get_close_matches(name, known, n=1, cutoff=0)[0]
            yield f"the environment variable {name} is unknown, and has no effect; is {near} meant?"
