"""matplotlib without an interactive backend: figures are only written to files."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from exleak.errors import SettingsError
from exleak.files import check_file

_KINDS = (".png", ".svg", ".pdf")


def load_matplotlib() -> None:
    """Import matplotlib, even if the backend in ``MPLBACKEND`` is not installed.

    Processes started from a notebook inherit its ``MPLBACKEND``. If that backend is not installed,
    importing matplotlib fails. An installed backend stays selected.

    Raises:
        SettingsError: matplotlib is not installed.
    """
    is_loaded = "matplotlib" in sys.modules
    backend = None if is_loaded else os.environ.pop("MPLBACKEND", None)
    try:
        import matplotlib as mpl
        import matplotlib.figure
    except ImportError:
        raise SettingsError("pictures need matplotlib: pip install 'exleak[plots]'") from None
    finally:
        if backend is not None:
            os.environ["MPLBACKEND"] = backend
    if backend is not None:
        with suppress(ValueError):
            mpl.rcParams["backend"] = backend


def check_plot(path: str | Path) -> None:
    """Check that a plot can be drawn and written, before anything is computed.

    Raises:
        SettingsError: matplotlib is not installed, the suffix is unknown, or the file cannot be
            written.
    """
    if Path(path).suffix.lower() not in _KINDS:
        raise SettingsError(f"plot {path}: the suffix must be one of {', '.join(_KINDS)}")
    check_file(Path(path))
    load_matplotlib()
