"""Several engines at once, each on a worker thread with its own share of the prompts.

The operations of a small model are too short for torch to split over threads: threads that
synchronise after each operation gain little on an idle machine, and on a busy one mostly wait for
each other. Worker threads that split the prompts synchronise only at the end. A row's draws depend
on that row alone, so the number of threads does not change the results.
"""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from exleak.generation.local.devices import is_spread

if TYPE_CHECKING:
    from exleak.generation.local.engine import Engine
    from exleak.generation.local.model import LocalModel
    from exleak.generation.requests import Continued, Request

#: Number of parameters below which one operation is too short to split.
_SMALL = 10_000_000
#: Maximum number of worker threads; more would wait for the interpreter lock.
_MOST = 4
#: Number of unfinished rows that justify one worker thread.
_ROWS = 64
#: Threshold of parameters times rows below which a step is mostly interpreter overhead.
_FEW = 2**25


def threads_for(model: LocalModel, rows: int) -> int:
    """Number of worker threads for a batch; 0 if torch splits each operation itself.

    At most one for each of torch's threads.
    """
    # accelerate brings weights in before a layer runs, and takes them away after it.
    if model.device.type != "cpu" or _size(model) >= _SMALL or is_spread(model.model):
        return 0
    return max(1, min(_MOST, torch.get_num_threads(), rows // _ROWS))


def shares(requests: Sequence[Request], threads: int) -> list[list[Request]]:
    """The requests of each thread, balanced by length; those of other threads stay, but empty."""
    order = sorted(range(len(requests)), key=lambda number: len(requests[number].text))
    thread = {number: place % threads for place, number in enumerate(order)}
    return [
        [
            request if thread[number] == own else replace(request, indices=())
            for number, request in enumerate(requests)
        ]
        for own in range(threads)
    ]


def run_threads(engines: Sequence[Engine]) -> Iterator[Continued]:
    """Run every engine on a worker thread, and yield what they finish.

    The last rows are too few to occupy several threads, so they continue in one engine.

    Raises:
        Exception: The first that an engine raised; the other engines stop after their step.
    """
    results: queue.SimpleQueue[list[Continued] | BaseException | None] = queue.SimpleQueue()

    def work(run: Iterator[list[Continued]]) -> None:
        try:
            for items in run:
                if items:
                    results.put(items)
            results.put(None)
        except BaseException as error:
            results.put(error)

    def finished(left: int) -> Iterator[Continued]:
        while left:
            items = results.get()
            if isinstance(items, BaseException):
                raise items
            if items is None:
                left -= 1
            else:
                yield from items

    # The threshold applies to each thread separately: a common one would depend on thread timing,
    # and with it the number of rows that share a step and the rounding of their logits.
    rest = _FEW // _size(engines[0].model) // len(engines) if len(engines) > 1 else 0
    threads = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(
            len(engines), initializer=torch.set_num_threads, initargs=(1,)
        ) as pool:
            try:
                for engine in engines:
                    pool.submit(work, engine.run(rest))
                yield from finished(len(engines))
                if unfinished := [engine for engine in engines if engine.live]:
                    unfinished[0].join(unfinished[1:])
                    pool.submit(work, unfinished[0].go_on())
                    yield from finished(1)
            finally:
                for engine in engines:
                    engine.stopped = True
    finally:
        # MKL keeps one thread count for the whole process.
        torch.set_num_threads(threads)


def _size(model: LocalModel) -> int:
    return sum(parameter.numel() for parameter in model.model.parameters())
