"""The progress of a measurement on pytest's terminal, or in its log."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import TYPE_CHECKING, Any

from exleak.progress import Done, is_told, told
from exleak.progress_line import Line
from leakage_fixtures.announcement import remember
from leakage_fixtures.relay import writer

if TYPE_CHECKING:
    import pytest


class Progress:
    """Shows how far the work within is, and the log warnings of exleak.

    With ``-q`` nothing is shown. A worker of pytest-xdist, which has no terminal, writes to its
    controller's as to a log.

    Args:
        config: The session's config.
        label: What is measured.
    """

    def __init__(self, config: pytest.Config, label: str) -> None:
        self.config, self.label = config, label
        self.reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self.capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self.start = time.monotonic()
        self.generated: Done | None = None
        self.line: Line | None = None
        if (write := writer(config)) is not None:
            self.line = Line(label, write, width=None)
        elif self.reporter is not None and self.reporter.verbosity >= 0:
            self.line = Line(label, self._write, **_place(self.reporter))

    def __enter__(self) -> Progress:
        self.remarks = _Remarks(self)
        logging.getLogger("exleak").addHandler(self.remarks)
        self.stack = ExitStack()
        if self.line is not None:
            self.stack.enter_context(self.line)
        self.stack.enter_context(told(self))
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        logging.getLogger("exleak").removeHandler(self.remarks)
        self.stack.close()
        if kind is None and self.generated is not None:
            remember(self.config, self.label, time.monotonic() - self.start, self.generated)

    def __call__(self, done: Done) -> None:
        """Show how far a phase is."""
        if done.phase == "generating":
            self.generated = done
        if self.line is not None:
            self.line(done)

    def say(self, text: str) -> None:
        """Show a permanent line, regardless of when the last line was shown."""
        if self.line is not None:
            self.line.say(text)

    def _write(self, text: str) -> None:
        uncaptured = self.capture.global_and_fixture_disabled() if self.capture else nullcontext()
        with uncaptured:
            # Not the reporter's own method, which would count it to the line of dots.
            self.reporter._tw.write_raw(text, flush=True)


def _place(reporter: Any) -> dict[str, Any]:
    """Where a line is shown: below the dots or the test's name, which go on after it."""
    terminal = reporter._tw
    if not reporter.isatty:
        return {"width": None, "before": "\n"}
    column = terminal.width_of_current_line % terminal.fullwidth + 1
    up = f"\x1b[A\x1b[{column}G" if terminal.hasmarkup else ""
    return {"width": terminal.fullwidth - 1, "before": "\n", "after": up}


def shown(config: pytest.Config, label: str) -> AbstractContextManager[object]:
    """A :class:`Progress`, unless one shows what is within already."""
    return nullcontext() if is_told() else Progress(config, label)


class _Remarks(logging.Handler):
    """Shows exleak's log warnings at once; pytest shows captured logs only when a test fails."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message of a log record."""
        self._progress.say(record.getMessage())
