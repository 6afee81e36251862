"""Where a measurement was made: versions and machine, for the report."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

_PACKAGES = ("exleak", "torch", "transformers", "sentence-transformers", "sentencex", "scipy")


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
        "packages": {name: found for name in _PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
