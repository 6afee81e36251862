"""Generation on this machine: requests in, continuations out, within the available memory.

    >>> from exleak.generation.requests import Request
    >>> request = Request("The soup is", (0, 1, 2))

Rows are computed by :mod:`exleak.generation.local.engine`, or by
:mod:`exleak.generation.local.plain` if the model's rows are not independent.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace
from itertools import chain

from exleak.errors import ModelError
from exleak.generation.local.context import check_model, independent_up_to
from exleak.generation.local.memory import is_out_of_memory, release_memory, rows_that_fit
from exleak.generation.local.model import LocalModel, evaluating
from exleak.generation.local.threads import run_threads, shares, threads_for
from exleak.generation.local.trial import on_trial
from exleak.generation.requests import Continued, Counts, Request
from exleak.generation.sampling import Sampling
from exleak.remarks import remark


def continue_prompts(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    counts: Counts | None = None,
    processes: int = 1,
) -> Generator[Continued, None, None]:
    """Continue every request, in the order in which they finish.

    If memory runs out, the batch size is halved and unfinished continuations start again. Dropout
    is off during the run; the model's training mode is restored afterwards.

    Args:
        model: The loaded checkpoint.
        requests: Prompts with the generations wanted of each.
        sampling: Settings; ``sampling.generations`` is not used here.
        batch_size: Maximum number of rows at once; changes speed and memory. It changes the result
            only if a draw is within the rounding of logits: almost never in float32, rarely in
            lower precision.
        counts: Updated during the run.
        processes: Number of processes that share the memory of the model's device.

    Yields:
        One :class:`Continued` for each request and index.

    Raises:
        ModelError: A model that cannot continue a text, a prompt longer than its context, NaN or
            infinite logits, or not enough memory for a single row.
    """
    counts = counts or Counts()
    if not _rows(requests):
        return
    check_model(model)
    size = batch_size or size_of_batch(model, requests, sampling, processes)
    left = list(requests)
    while _rows(left):
        counts.batch_sizes.append(size)
        done: set[tuple[int, int]] = set()
        try:
            with evaluating(model.model):
                for item in _run(model, left, sampling, size, counts):
                    done.add((item.request, item.index))
                    yield item
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            if size == 1:
                raise ModelError(f"model {model.name}: not enough memory for one row") from error
            size //= 2
        left = [
            replace(request, indices=tuple(i for i in request.indices if (number, i) not in done))
            for number, request in enumerate(left)
        ]
        if _rows(left):
            release_memory()
            remark(
                f"model {model.name}: out of memory; going on with {size} rows at once",
                stacklevel=2,
            )


def size_of_batch(
    model: LocalModel, requests: Sequence[Request], sampling: Sampling, processes: int = 1
) -> int:
    """The number of rows at once of a run without a batch size; arguments as for the run.

    Raises:
        ModelError: Not enough memory for a single row.
    """
    try:
        with evaluating(model.model), on_trial(model):
            threads = max(1, threads_for(model, _rows(requests)))
            return rows_that_fit(model, requests, sampling, threads, processes)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(f"model {model.name}: not enough memory for one row") from error


def _run(
    model: LocalModel, requests: Sequence[Request], sampling: Sampling, size: int, counts: Counts
) -> Iterator[Continued]:
    from exleak.generation.local.engine import Engine
    from exleak.generation.local.forward import forward_of
    from exleak.generation.local.plain import continue_plainly

    refused: list[str] = []
    with on_trial(model):
        forward = forward_of(model, refused)
    if forward is not None and not _are_independent(model, requests, sampling):
        turn = independent_up_to(model)
        forward, refused = None, [f"its rows depend on each other beyond {turn} tokens"]
    if forward is None:
        yield from continue_plainly(model, requests, sampling, size, counts, refused[-1])
        return
    threads = threads_for(model, min(size, _rows(requests)))
    parts = max(1, threads)
    engines = [
        Engine(model, forward, share, sampling, -(-size // parts), Counts())
        for share in shares(requests, parts)
    ]
    try:
        with forward.in_use():
            if threads:
                yield from run_threads(engines)
            else:
                yield from chain.from_iterable(engines[0].run())
    finally:
        for engine in engines:
            counts.add(engine.counts)


def _are_independent(model: LocalModel, requests: Sequence[Request], sampling: Sampling) -> bool:
    """Whether all rows stay within the length up to which the model keeps them independent."""
    turn = independent_up_to(model)
    return turn is None or all(
        len(model.encode(request.text)) + sampling.max_new_tokens <= turn
        for request in requests
        if request.indices
    )


def _rows(requests: Sequence[Request]) -> int:
    return sum(len(request.indices) for request in requests)
