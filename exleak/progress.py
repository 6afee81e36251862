"""How far a measurement is: loading, generating and scoring, and how long the rest takes.

What works tells of it with :func:`phase` and :func:`advance`; :func:`told` says who listens.

>>> with told(lambda done: print(done.phase, done.count, "of", done.total)):
...     with phase("scoring", "texts", 20):
...         advance(5)
scoring 0 of 20
scoring 5 of 20
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, TypeVar

Phase = Literal["loading", "generating", "scoring"]
Unit = Literal["bytes", "weights", "sentences", "texts"]
Item = TypeVar("Item")

#: Characters of the marks around a text.
_MARKS = 8
_GOLDEN = (5**0.5 - 1) / 2


@dataclass
class Done:
    """How far a phase of a measurement is; what is stored already does not count.

    It is the same object at every call of a phase, or of a part of loading.

    Attributes:
        phase: ``"loading"`` (files are read, then weights; or a server gets ready),
            ``"generating"`` or ``"scoring"``.
        unit: ``"bytes"`` or ``"weights"``, ``"sentences"``, ``"texts"``.
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
