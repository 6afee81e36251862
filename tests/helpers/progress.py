"""Who listens to how far some work is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from exleak.progress import Done, phase, told, work_of


def heard(work: Callable[[], object]) -> list[Done]:
    """What was told during some work."""
    found: list[Done] = []
    with told(lambda done: found.append(replace(done))):
        work()
    return found


def tells_texts(score: Callable[[Sequence[str]], object], texts: Sequence[str]) -> None:
    """Check that a scorer tells each of these texts once, in more than one step."""

    def work() -> None:
        with phase("scoring", "texts", len(texts), work_of(texts)):
            score(texts)

    found = heard(work)
    assert len(found) > 2
    assert (found[-1].count, found[-1].work) == (len(texts), work_of(texts))
