"""matplotlib without its backends: pictures are drawn to files, never to a screen."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from exleak.errors import SettingsError


def load_matplotlib() -> None:
    """Import matplotlib, whatever backend is set for windows or notebooks.

    A notebook hands its ``MPLBACKEND`` to the processes it starts; where that backend is not
    installed, matplotlib refuses to be imported. One that is there stays chosen.

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
