"""A progress line: rewritten in place on a terminal, printed every 30 seconds in a log."""

from __future__ import annotations

import logging
import time
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from leakage_fixtures.announcement import remember

if TYPE_CHECKING:
    import pytest

    from exleak.generation.dataset import Done

_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 30.0
#: Share of sentences, or seconds, before the rate is shown: continuations start together and end
#: late, so an early rate is misleading.
_TELLING = 0.05
_TELLING_SECONDS = 20.0


class Progress:
    """Shows the progress of the generations of a measurement."""

    def __init__(self, config: pytest.Config, label: str) -> None:
        self.reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
        self.capture: Any = config.pluginmanager.get_plugin("capturemanager")
        self.config = config
        self.done: Done | None = None
        self.label, self.start = label, time.monotonic()
        self.is_terminal = bool(self.reporter and self.reporter.isatty)
        self.shown = self.start
        self.written = False
        self.quiet = self.reporter is None or self.reporter.verbosity < 0

    def __enter__(self) -> Progress:
        self.remarks = _Remarks(self)
        logging.getLogger("exleak").addHandler(self.remarks)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        logging.getLogger("exleak").removeHandler(self.remarks)
        if kind is None and self.done is not None:
            remember(self.config, self.label, time.monotonic() - self.start, self.done)
        if self.written and self.is_terminal:
            self._write("\r" + " " * (self.reporter._tw.fullwidth - 1) + "\r")

    def __call__(self, done: Done) -> None:
        """Show the progress unless the last line is too recent."""
        self.done = done
        now = time.monotonic()
        wait = _TERMINAL_SECONDS if self.is_terminal else _LOG_SECONDS
        if self.quiet or now - self.shown < wait:
            return
        self.shown = now
        rate = done.sentences / (now - self.start)
        line = f"{self.label}: {done.prompts} of {done.of_prompts} prompts"
        if done.sentences >= _TELLING * done.of_sentences or now - self.start >= _TELLING_SECONDS:
            left = (done.of_sentences - done.sentences) / rate
            line += f", {rate:.0f} sentences/s, {left:.0f} s left"
        if self.is_terminal:
            width = self.reporter._tw.fullwidth - 1
            self._write("\r" + line[:width].ljust(width))
        else:
            self._write(f"\n{line}\n" if not self.written else f"{line}\n")
        self.written = True

    def say(self, line: str) -> None:
        """Show a permanent line, regardless of when the last line was shown."""
        if not self.quiet:
            self._write(f"\n{line}\n")

    def _write(self, text: str) -> None:
        uncaptured = self.capture.global_and_fixture_disabled() if self.capture else nullcontext()
        with uncaptured:
            self.reporter.write(text, flush=True)


class _Remarks(logging.Handler):
    """Shows exleak's log warnings at once; pytest shows captured logs only when a test fails."""

    def __init__(self, progress: Progress) -> None:
        super().__init__(logging.WARNING)
        self._progress = progress

    def emit(self, record: logging.LogRecord) -> None:
        """Show the message of a log record."""
        self._progress.say(record.getMessage())
