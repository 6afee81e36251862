"""Progress of long commands, on standard error."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shutil import get_terminal_size
from typing import TYPE_CHECKING

from exleak.progress_line import Line

if TYPE_CHECKING:
    from exleak.aexl.progress import State

#: Update interval in seconds, on a terminal and in a log.
_SECONDS = {True: 0.5, False: 30.0}


@contextmanager
def building(*, quiet: bool = False) -> Iterator[Callable[[State], None]]:
    """A progress bar for the sentences read while building a dataset."""
    from tqdm import tqdm

    wait = _SECONDS[sys.stderr.isatty()]
    with tqdm(
        file=sys.stderr, unit=" sentences", disable=quiet, dynamic_ncols=True, leave=False,
        mininterval=wait, delay=wait,
    ) as bar:  # fmt: skip

        def show(state: State) -> None:
            if state.fraction:  # of bytes read; the number of sentences is an estimate
                bar.total = max(state.sentences, round(state.sentences / state.fraction))
            bar.update(state.sentences - bar.n)

        yield show


def measuring(label: str) -> Line:
    """A line for loading, generating and scoring; on a terminal it is wiped at the end."""

    def write(text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()

    is_terminal = sys.stderr.isatty()
    return Line(label, write, get_terminal_size().columns - 1 if is_terminal else None)
