"""The line that shows how far a measurement is: its rate, and a time left that can be believed."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from exleak.progress import Done, Unit

#: Seconds between two lines, on a terminal and in a log.
_TERMINAL_SECONDS = 0.2
_LOG_SECONDS = 30.0
#: Seconds after which a line is rewritten though nothing was told.
_STILL_SECONDS = 1.0
#: Least share of the work, or seconds and units, before a rate is shown: continuations start
#: together and end late, so an early rate is misleading.
_TELLING = 0.05
_TELLING_SECONDS = 20.0
_TELLING_UNITS = 100
#: Seconds of recent work that a rate is of, at least; and the share of the time since the start.
_RECENT_SECONDS = 20.0
_RECENT = 0.5


class Pace:
    """The rate of recent work, and how long the rest takes at it."""

    def __init__(self) -> None:
        #: Time, count and share of the work. The first is of when something was done: what
        #: comes before, such as compiling, is not repeated.
        self._seen: deque[tuple[float, int, float]] = deque()
        self._start = 0.0

    def see(self, done: Done, now: float) -> None:
        """Note how far it is, at a time in seconds."""
        if not done.count:
            return
        if not self._seen:
            self._start = now
        # Some hundred notes are enough, however long it takes.
        elif now - self._seen[-1][0] < max(0.05, (now - self._start) / 200):
            return
        self._seen.append((now, done.count, done.share))
        recent = max(_RECENT_SECONDS, _RECENT * (now - self._start))
        while len(self._seen) > 2 and self._seen[1][0] <= now - recent:
            self._seen.popleft()

    def rate(self, done: Done, now: float) -> tuple[float, float] | None:
        """Units a second of the recent work, and the seconds that the rest takes.

        ``None`` before the work done says something of the rest.
        """
        if not self._seen:
            return None
        then, count, share = self._seen[0]
        seconds = now - self._start
        is_telling = done.share >= _TELLING or (
            seconds >= _TELLING_SECONDS and done.count >= _TELLING_UNITS
        )
        if not is_telling or seconds < _STILL_SECONDS or done.share <= share:
            return None
        speed = (done.share - share) / (now - then)
        return (done.count - count) / (now - then), (1 - done.share) / speed


def describe(done: Done, rate: tuple[float, float] | None, seconds: float) -> str:
    """A phase in words.

    >>> describe(Done("scoring", "texts", 500, 2000), (100.0, 15.0), 5.0)
    'scoring 500 of 2,000 texts, 100/s, 15 s left'
    >>> describe(Done("loading", "bytes", 0, 14_000_000_000), None, 12.0)
    'loading 14.0 GB, 12 s'

    Args:
        done: The phase.
        rate: As :meth:`Pace.rate` gives it.
        seconds: Seconds since the phase began; shown while nothing is counted.
    """
    total, unit = _amount(done.total, done.unit)
    if not done.count:
        return f"{done.phase}{f' {total} {unit}' if done.total else ''}, {_seconds(seconds)}"
    # Before a model is loaded its files are read, to know whether its continuations are stored.
    name = "reading" if done.unit == "bytes" else done.phase
    text = f"{name} {_amount(done.count, done.unit, done.total)[0]} of {total} {unit}"
    if rate is None:
        return text
    speed, left = rate
    amount, per = _amount(speed, done.unit)
    of = f" {per}" if done.unit == "bytes" else ""
    return f"{text}, {amount}{of}/s, {_seconds(left)} left"


def _amount(value: float, unit: Unit, scale: float | None = None) -> tuple[str, str]:
    """A number and its unit, of bytes with the prefix that fits the scale."""
    if unit == "bytes":
        fits = value if scale is None else scale
        size, name = (1e9, "GB") if fits >= 1e9 else (1e6, "MB")
        return f"{value / size:.1f}", name
    return (f"{value:,.0f}" if value >= 10 or isinstance(value, int) else f"{value:.1f}"), unit


def _seconds(seconds: float) -> str:
    return f"{max(0, seconds):.0f} s" if seconds < 10 else duration(seconds)


def duration(seconds: float) -> str:
    """Seconds in words, with two or three digits."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


class Line:
    """Shows progress in one line: rewritten in place on a terminal, now and then in a log.

    Use it as a context, and call it with each :class:`Done`. A thread rewrites the line while
    nothing is told, as when a model is read.

    Args:
        label: What is measured.
        write: Writes a text as it is, and flushes it.
        width: Characters of a line; ``None`` in a log.
        before: Written before the first line.
        after: Written after the line on a terminal is wiped, unless :meth:`say` wrote below it.
    """

    def __init__(
        self,
        label: str,
        write: Callable[[str], None],
        width: int | None,
        *,
        before: str = "",
        after: str = "",
    ) -> None:
        self.label, self.width = label, width
        self._write, self._before, self._after = write, before, after
        self._shown = time.monotonic()
        self._is_written = False
        self._done: Done | None = None
        self._began = self._shown
        self._pace = Pace()
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._ticker = threading.Thread(target=self._tick, daemon=True)

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *error: object) -> None:
        self._ended.set()
        if self._ticker.is_alive():
            self._ticker.join()
        if self._is_written and self.width is not None:
            self._write("\r" + " " * self.width + "\r" + self._after)

    def __call__(self, done: Done) -> None:
        """Show how far it is, unless the last line is too recent."""
        now = time.monotonic()
        with self._lock:
            if done is not self._done:
                if self._done is None or self._done.phase != done.phase:
                    self._began = now
                self._done, self._pace = done, Pace()
            self._pace.see(done, now)
            self._show(now, _TERMINAL_SECONDS)
        if self._ticker.ident is None:
            self._ticker.start()

    def say(self, text: str) -> None:
        """Write a permanent line."""
        with self._lock:
            self._after = ""
            self._write(f"\n{text}\n")

    def _tick(self) -> None:
        while not self._ended.wait(_STILL_SECONDS):
            self.still()

    def still(self) -> None:
        """Show how long it has been, if nothing was told for a while."""
        now = time.monotonic()
        with self._lock:
            if self._done is not None and self._done.count < max(self._done.total, 1):
                self._show(now, _STILL_SECONDS)

    def _show(self, now: float, wait: float) -> None:
        if self._done is None or now - self._shown < (_LOG_SECONDS if self.width is None else wait):
            return
        self._shown = now
        text = describe(self._done, self._pace.rate(self._done, now), now - self._began)
        if self.width is None:
            line = f"{self.label}: {text}\n"
        else:
            room = max(0, self.width - len(text) - 2)
            label = self.label if len(self.label) <= room else f"…{self.label[-room + 1 :]}"
            line = f"\r{f'{label}: {text}'[: self.width].ljust(self.width)}"
        self._write(line if self._is_written else self._before + line)
        self._is_written = True
