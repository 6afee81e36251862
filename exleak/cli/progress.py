"""Progress bars for long commands, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from exleak.aexl.progress import State
    from exleak.generation.dataset import Done

#: Update interval in seconds, on a terminal and in a log.
_SECONDS = {True: 0.5, False: 30.0}


@contextmanager
def building(*, quiet: bool = False) -> Iterator[Callable[[State], None]]:
    """A progress bar for the sentences read while building a dataset."""
    with _bar(unit=" sentences", disable=quiet) as bar:

        def show(state: State) -> None:
            if state.fraction:  # of bytes read; the number of sentences is an estimate
                bar.total = max(state.sentences, round(state.sentences / state.fraction))
            bar.update(state.sentences - bar.n)

        yield show


@contextmanager
def generating(label: str) -> Iterator[Callable[[Done], None]]:
    """A progress bar for the first sentences that a model generates."""
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
