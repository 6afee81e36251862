"""Progress of a build: how much is read, how fast, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from exleak.aexl.formats import Part
    from exleak.aexl.worker import Partial


@dataclass(frozen=True)
class State:
    """How far a build is.

    Attributes:
        sentences: Sentences read.
        fraction: Share of the bytes read; ``None`` where the size of a source is not known.
        seconds: Time since the start.
    """

    sentences: int
    fraction: float | None
    seconds: float

    def __str__(self) -> str:
        rate = self.sentences / self.seconds if self.seconds else 0.0
        text = f"{self.sentences} sentences, {rate:.0f} a second"
        if not self.fraction:
            return text
        left = self.seconds * (1 - self.fraction) / self.fraction
        return f"{text}, {self.fraction:.0%} read, {_duration(left)} left"


Progress = Callable[[State], None]


class Meter:
    """Turns the results of blocks into states.

    Args:
        parts: All that will be read.
        report: Called after every block.
    """

    def __init__(self, parts: Sequence[Part], report: Progress | None) -> None:
        known = all(part.size for part in parts)
        self._total = sum(part.size for part in parts) if known else 0
        self._read: dict[str, int] = {}
        self._sentences = 0
        self._report = report
        self._start = time.monotonic()

    def add(self, part: Part, partial: Partial) -> None:
        """Count a block."""
        self._sentences += partial.counts.get("sentences", 0)
        self._read[part.name] = max(self._read.get(part.name, 0), partial.position)
        if self._report is not None:
            fraction = sum(self._read.values()) / self._total if self._total else None
            self._report(State(self._sentences, fraction, time.monotonic() - self._start))


class Printer:
    """Prints states to a terminal or a log, not too often.

    Args:
        stream: Where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._live = stream.isatty()
        self._due = 0.0 if self._live else 10.0

    def __call__(self, state: State) -> None:
        """Print a state if the last one is old enough."""
        if state.seconds < self._due:
            return
        self._due = state.seconds + (0.5 if self._live else 10.0)
        self._stream.write(f"\r\x1b[K{state}" if self._live else f"{state}\n")
        self._stream.flush()

    def close(self) -> None:
        """Clear the line."""
        if self._live:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
