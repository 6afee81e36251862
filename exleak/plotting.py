"""Import of matplotlib without an interactive backend: figures are only written to files."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from exleak.errors import SettingsError


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
