"""The environment of a measurement for the report: package versions and machine."""

from __future__ import annotations

import functools
import os
import platform
from collections.abc import Sequence
from importlib import metadata
from typing import Any

_PACKAGES = (
    "exleak",
    "torch",
    "transformers",
    "tokenizers",
    "sentence-transformers",
    "sentencex",
    "scipy",
)


def version() -> str:
    """The installed version of exleak; ``"0+unknown"`` if it is not installed."""
    return _version("exleak") or "0+unknown"


def environment() -> dict[str, Any]:
    """Versions of Python and packages, and the machine; imports none of the packages."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Versions of the packages that a measurement depends on."""
    return {name: installed for name in _PACKAGES if (installed := _version(name))}


#: Packages that a continuation may depend on, besides the model.
_MAKING = ("exleak", "torch", "transformers", "tokenizers", "sentencex")


def makers() -> dict[str, str]:
    """Versions of the packages that generate continuations."""
    return {name: installed for name in _MAKING if (installed := _version(name))}


def difference(made: Sequence[dict[str, str]], here: dict[str, str]) -> str | None:
    """A note on stored continuations that were generated with other versions, if any.

    Args:
        made: The versions that generated the continuations; several if some were added later.
        here: The current versions.
    """
    other = {
        name: stored
        for name in here
        if (stored := sorted({versions.get(name, "unknown") for versions in made}))
        and stored != [here[name]]
    }
    if not other:
        return None
    shown = ", ".join(
        f"{name} {' and '.join(stored)} (here {here[name]})" for name, stored in other.items()
    )
    return f"the continuations are stored ones, made with {shown}"


@functools.cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
