"""Where a measurement was made: versions and machine, for the report."""

from __future__ import annotations

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
    """The installed version of exleak; ``"0+unknown"`` when it runs from a bare folder."""
    return _version("exleak") or "0+unknown"


def environment() -> dict[str, Any]:
    """Python, packages and machine; imports none of the packages."""
    return {
        "python": platform.python_version(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
        "cpus": os.cpu_count(),
        "packages": packages(),
    }


def packages() -> dict[str, str]:
    """Versions of the packages that a measurement depends on."""
    return {name: found for name in _PACKAGES if (found := _version(name))}


#: What a continuation may depend on, besides the model.
_MAKING = ("exleak", "torch", "transformers", "tokenizers", "sentencex")


def makers() -> dict[str, str]:
    """Versions of what continuations are made with."""
    return {name: found for name in _MAKING if (found := _version(name))}


def difference(made: Sequence[dict[str, str]], here: dict[str, str]) -> str | None:
    """What a reader must know of continuations that other versions made, if any did.

    Args:
        made: The versions that continuations were made with; more than one where some were added.
        here: Those of today.
    """
    other = {
        name: found
        for name in here
        if (found := sorted({versions.get(name, "unknown") for versions in made}))
        and found != [here[name]]
    }
    if not other:
        return None
    shown = ", ".join(
        f"{name} {' and '.join(found)} (here {here[name]})" for name, found in other.items()
    )
    return f"the continuations are stored ones, made with {shown}"


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
