"""The progress of xdist's workers, which have no terminal, on that of their controller.

A worker writes lines to a file in a folder of the controller, whose thread shows them. Workers on
another machine do not see the folder, and write nothing.
"""

from __future__ import annotations

import contextlib
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

_FOLDER = "leakage_progress"
_SECONDS = 1.0


def writer(config: pytest.Config) -> Callable[[str], None] | None:
    """What a worker writes lines with; ``None`` without a controller that shows them.

    Args:
        config: The session's config.
    """
    given: dict[str, Any] = getattr(config, "workerinput", {})
    if _FOLDER not in given or not Path(given[_FOLDER]).is_dir():
        return None
    path = Path(given[_FOLDER], given["workerid"])

    def write(text: str) -> None:
        with contextlib.suppress(OSError), path.open("a", encoding="utf-8") as file:
            file.write(text)

    return write


class Relay:
    """Hooks of a controller that show the lines of its workers, each with the worker's name.

    Args:
        config: The session's config.
    """

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.folder: tempfile.TemporaryDirectory[str] | None = None
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self._read: Counter[str] = Counter()

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: Any) -> None:
        """Tell a worker the folder."""
        if self.folder is None:
            self.folder = tempfile.TemporaryDirectory(prefix="exleak-", ignore_cleanup_errors=True)
            self.thread.start()
        node.workerinput[_FOLDER] = self.folder.name

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self) -> Generator[None]:
        """Show what is left before the session's summary."""
        if self.folder is not None:
            self.ended.set()
            self.thread.join()
            self.show()
            self.folder.cleanup()
        return (yield)

    def _watch(self) -> None:
        while not self.ended.wait(_SECONDS):
            self.show()

    def show(self) -> None:
        """Show the lines that were written since the last call."""
        reporter: Any = self.config.pluginmanager.get_plugin("terminalreporter")
        files = sorted(Path(self.folder.name).iterdir()) if self.folder else []
        for path in files:
            written = path.read_bytes()[self._read[path.name] :]
            whole = written[: written.rfind(b"\n") + 1]
            self._read[path.name] += len(whole)
            for line in filter(str.strip, whole.decode().splitlines()):
                reporter.ensure_newline()
                reporter.write_line(f"[{path.name}] {line}")
