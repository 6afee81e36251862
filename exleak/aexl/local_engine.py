"""The local engine: processes blocks in this process or in several on this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from exleak.aexl.formats import Part, Reading
from exleak.aexl.sources import Block, read
from exleak.aexl.worker import Partial, Worker
from exleak.errors import ExleakError

if TYPE_CHECKING:
    from exleak.aexl.recipe import Recipe
    from exleak.scoring import Instrument
    from exleak.store.segments import Segments


@dataclass(frozen=True)
class Job:
    """The settings of a build that every worker needs.

    Attributes:
        recipe: The parameters of the dataset.
        reading: Settings for reading the parts.
        instrument: A name, or a loaded instrument (which must be picklable for several
            processes).
        store: The store's folder, ``None`` to store nothing.
    """

    recipe: Recipe
    reading: Reading
    instrument: str | Instrument
    store: str | None

    def worker(self) -> Worker:
        """Create a worker with a loaded instrument."""
        instrument = self.load()
        return Worker(self.recipe, instrument, self._stored(instrument))

    def load(self) -> Instrument:
        """Load the instrument."""
        from exleak.scoring import load_instrument

        if isinstance(self.instrument, str):
            return load_instrument(self.instrument)
        return self.instrument

    def _stored(self, instrument: Instrument) -> Segments | None:
        from exleak.store import Store

        if self.store is None:
            return None
        return Store(Path(self.store)).block_scores(instrument.expression.hash)


def run(job: Job, parts: Sequence[Part], processes: int) -> Iterator[tuple[Part, Partial]]:
    """Process all blocks of all parts, in order.

    Raises:
        ExleakError: A part cannot be read, a scorer fails, or a process was killed.
    """
    blocks = ((part, block) for part in parts for block in read(part, job.reading))
    if processes == 1:
        worker = job.worker()
        return ((part, worker.work(block)) for part, block in blocks)
    return _spread(job, blocks, processes)


def _spread(
    job: Job, blocks: Iterator[tuple[Part, Block]], processes: int
) -> Iterator[tuple[Part, Partial]]:
    context = multiprocessing.get_context("spawn")
    waiting: deque[tuple[Part, Future[Partial]]] = deque()
    with ProcessPoolExecutor(processes, context, _start, (job, processes)) as executor:
        try:
            for part, block in blocks:
                waiting.append((part, executor.submit(_work, block)))
                # A few queued blocks keep all processes busy; more would only take memory.
                if len(waiting) > 2 * processes:
                    done, future = waiting.popleft()
                    yield done, future.result()
            while waiting:
                done, future = waiting.popleft()
                yield done, future.result()
        except BrokenProcessPool:
            raise ExleakError(
                "a worker process was killed or could not start (out of memory?): use fewer "
                "processes; a new run goes on from the stored scores"
            ) from None
        finally:
            executor.shutdown(wait=True, cancel_futures=True)


_worker: Worker


def _start(job: Job, processes: int) -> None:
    """Initialise a worker process."""
    global _worker
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if isinstance(job.instrument, str):
        from exleak.resources import limit_torch

        limit_torch(processes)
    _worker = job.worker()


def _end_with_parent() -> None:
    """Exit when the parent ends, because a killed parent cannot stop its workers."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    os._exit(1)


def _work(block: Block) -> Partial:
    return _worker.work(block)
