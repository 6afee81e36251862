"""Progress of a build, by the share of the sources read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from exleak.aexl.formats import Part
    from exleak.aexl.worker import Partial


@dataclass(frozen=True)
class State:
    """The progress of a build.

    Attributes:
        sentences: Number of sentences read.
        fraction: Share of the bytes read; ``None`` if the size of a source is unknown.
    """

    sentences: int
    fraction: float | None


Progress = Callable[[State], None]


class Meter:
    """Converts the results of blocks into progress states.

    Args:
        parts: All parts of the build.
        report: Callback, called after every block.
    """

    def __init__(self, parts: Sequence[Part], report: Progress | None) -> None:
        known = all(part.size for part in parts)
        self._total = sum(part.size for part in parts) if known else 0
        self._read: dict[str, int] = {}
        self._sentences = 0
        self._report = report

    def add(self, part: Part, partial: Partial) -> None:
        """Add the result of a block."""
        self._sentences += partial.counts.get("sentences", 0)
        self._read[part.name] = max(self._read.get(part.name, 0), partial.position)
        if self._report is not None:
            fraction = sum(self._read.values()) / self._total if self._total else None
            self._report(State(self._sentences, fraction))
