"""Progress bars of long commands, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.aexl.progress import State
    from exleak.generation.dataset import Done

#: A terminal is rewritten twice a second, a log gets a line now and then.
_SECONDS = {True: 0.5, False: 30.0}


@contextmanager
def building(*, quiet: bool = False) -> Iterator[Callable[[State], None]]:
    """A bar for the sentences that a build of a dataset reads."""
    with _bar(unit=" sentences", disable=quiet) as bar:

        def show(state: State) -> None:
            if state.fraction:  # sources are measured in bytes; how many sentences, nobody knows
                bar.total = max(state.sentences, round(state.sentences / state.fraction))
            bar.update(state.sentences - bar.n)

        yield show


@contextmanager
def generating(label: str) -> Iterator[Callable[[Done], None]]:
    """A bar for the first sentences that a model writes."""
    with _bar(unit=" sentences", desc=label) as bar:

        def show(done: Done) -> None:
            bar.total = done.of_sentences
            bar.update(done.sentences - bar.n)

        yield show


def _bar(**about: Any) -> Any:
    from tqdm import tqdm

    wait = _SECONDS[sys.stderr.isatty()]
    return tqdm(
        file=sys.stderr, dynamic_ncols=True, leave=False, mininterval=wait, delay=wait, **about
    )
