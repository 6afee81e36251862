"""How far a measurement is: loading, generating and scoring, and how long the rest takes.

What works tells of it with :func:`phase` and :func:`advance`; :func:`told` says who listens.

>>> with told(lambda done: print(done.phase, done.count, "of", done.total)):
...     with phase("scoring", "texts", 20):
...         advance(5)
scoring 0 of 20
scoring 5 of 20
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeVar

Phase = Literal["loading", "generating", "scoring"]
Unit = Literal["bytes", "weights", "sentences", "texts"]
Item = TypeVar("Item")

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
#: Characters of the marks around a text.
_MARKS = 8
_GOLDEN = (5**0.5 - 1) / 2


@dataclass
class Done:
    """How far a phase of a measurement is; what is stored already does not count.

    Attributes:
        phase: What is under way. Loading ends by a server's being ready, too.
        unit: What is counted.
        count: How many of it are done.
        total: How many there are; 0 if that is not known.
        work: The work done, where units differ in what they take; else 0.
        of_work: All of it.
    """

    phase: Phase
    unit: Unit
    count: int
    total: int
    work: float = 0
    of_work: float = 0

    @property
    def share(self) -> float:
        """The share of the work that is done, 0 to 1."""
        done, total = (self.work, self.of_work) if self.of_work else (self.count, self.total)
        return min(1.0, done / total) if total else 0.0


Progress = Callable[[Done], None]

_listener: ContextVar[Progress | None] = ContextVar("listener", default=None)
_done: ContextVar[Done | None] = ContextVar("done", default=None)


@contextmanager
def told(listener: Progress | None) -> Iterator[None]:
    """Tell a listener how far the work within is; ``None`` leaves it to who listened before."""
    token = _listener.set(listener or _listener.get())
    try:
        yield
    finally:
        _listener.reset(token)


def is_told() -> bool:
    """Whether anyone listens."""
    return _listener.get() is not None


@contextmanager
def phase(name: Phase, unit: Unit, total: int, work: float = 0) -> Iterator[Done]:
    """Work of which :func:`advance` says how much is done.

    Args:
        name: The phase.
        unit: What is counted.
        total: How many there are; 0 if that is not known.
        work: All of the work, where units differ in what they take.
    """
    done = Done(name, unit, 0, total, of_work=work)
    token = _done.set(done)
    try:
        _tell(done)
        yield done
    finally:
        _done.reset(token)


def advance(count: int = 1, work: float = 0) -> None:
    """Say that so much more of the innermost :func:`phase` is done; nothing without one."""
    done = _done.get()
    if done is not None and count:
        done.count += count
        done.work += work
        _tell(done)


def advance_texts(texts: Sequence[str]) -> None:
    """Say that these texts are done, where a phase counts texts."""
    advance(len(texts), work_of(texts))


def work_of(texts: Iterable[str]) -> float:
    """What it takes to encode texts: their characters, and as much as two words for each."""
    return float(sum(len(text) + _MARKS for text in texts))


def _tell(done: Done) -> None:
    if (listener := _listener.get()) is not None:
        listener(done)


def spread(items: Sequence[Item]) -> list[Item]:
    """Items that are sorted by size, in an order in which any few are small and large ones alike.

    The rate of the first then is the rate of all.
    """
    places = sorted(range(len(items)), key=lambda place: (place * _GOLDEN + 0.5) % 1)
    return [items[place] for place in places]


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
