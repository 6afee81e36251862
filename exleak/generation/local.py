"""Generation on this machine: requests in, continuations out, whatever the memory allows.

    >>> from exleak.generation.local import Request, continue_prompts
    >>> request = Request("The soup is", (0, 1, 2))

How rows are computed is in :mod:`exleak.generation.engine`; what has no independent rows goes
through :mod:`exleak.generation.fallback`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any

import torch
from transformers.cache_utils import Cache

from exleak import resources
from exleak.errors import ModelError
from exleak.generation.checkpoint import LocalModel, evaluating
from exleak.generation.context import check_model, independent_up_to
from exleak.generation.lanes import lanes_for, run_lanes, shares
from exleak.generation.sampling import Sampling
from exleak.remarks import remark

#: Most rows of an engine at once, by device type: more do not make a step cheaper per row.
_MOST_ROWS = {"cpu": 640}
_MOST_ROWS_ELSEWHERE = 2048
#: Why a continuation cannot go on.
NOT_NUMBERS = (
    "the logits are NaN or infinite; the weights are broken, or overflow in this dtype "
    "(try --leakage-dtype float32)"
)
#: What errors without a type of their own say, in lower case.
_NO_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory",
    "bad_alloc", "status_alloc_failed",
)  # fmt: skip
#: Share of the free memory that rows may take.
_MEMORY_SHARE = 0.5


@dataclass(frozen=True)
class Request:
    """One prompt to continue.

    Attributes:
        text: The rendered prompt; the draws are keyed by it.
        indices: Which generations are wanted, usually 0 to K - 1.
        is_complete: Whether a continuation may end here; ``None`` runs to the end.
        begun: How the answer begins, where a server is to put that into the model's turn; a local
            model has it in the text.
    """

    text: str
    indices: tuple[int, ...]
    is_complete: Callable[[str], bool] | None = None
    begun: str | None = None


@dataclass(frozen=True)
class Continued:
    """A finished continuation: the request's number, the generation's index and its raw text."""

    request: int
    index: int
    text: str


@dataclass
class Counts:
    """What a run computed.

    Attributes:
        computed: Rows that were sent through the model for one more token.
        useful: Those that a continuation was waiting for.
        prefilled: Prompt tokens.
        batch_sizes: Rows at once; more than one number where memory ran out.
        notes: What a reader must know of how the rows were computed.
    """

    computed: int = 0
    useful: int = 0
    prefilled: int = 0
    batch_sizes: list[int] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Add what another engine of the same run computed."""
        self.computed += other.computed
        self.useful += other.useful
        self.prefilled += other.prefilled


def continue_prompts(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    *,
    batch_size: int | None = None,
    counts: Counts | None = None,
) -> Generator[Continued, None, None]:
    """Continue every request, in whatever order they finish.

    When memory runs out the batch is halved and what is not finished yet starts again. Dropout is
    off meanwhile; a model that was being trained is left in that mode.

    Args:
        model: The loaded checkpoint.
        requests: Prompts with the generations wanted of each.
        sampling: Settings; ``sampling.generations`` is not used here.
        batch_size: Most rows at once; changes speed and memory. The result it changes only where a
            draw is within the rounding of logits: next to never in float32, seldom in fewer bits.
        counts: Filled in while the run goes on.

    Yields:
        One :class:`Continued` for each request and index.

    Raises:
        ModelError: A model that cannot continue a text, a prompt longer than its context, logits
            that are not numbers, or not enough memory for a single row.
    """
    counts = counts or Counts()
    if not _rows(requests):
        return
    check_model(model)
    size = batch_size or _size_of_batch(model, requests, sampling)
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
            _give_back_memory()
            remark(
                f"model {model.name}: out of memory; going on with {size} rows at once",
                stacklevel=2,
            )


def _size_of_batch(model: LocalModel, requests: Sequence[Request], sampling: Sampling) -> int:
    try:
        with evaluating(model.model), on_trial(model):
            return rows_that_fit(model, requests, sampling)
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(f"model {model.name}: not enough memory for one row") from error


@contextmanager
def on_trial(model: LocalModel) -> Iterator[None]:
    """Say what a model's first tokens showed, where it cannot be run on them.

    Raises:
        ModelError: In the place of any error but that of memory.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, ModelError) or is_out_of_memory(error):
            raise
        reason = f"{type(error).__name__}: {error}".strip().split("\n")[0]
        raise ModelError(
            f"model {model.name}: {type(model.model).__name__} cannot continue a few tokens of "
            f"text by itself ({reason})"
        ) from error


def _run(
    model: LocalModel, requests: Sequence[Request], sampling: Sampling, size: int, counts: Counts
) -> Iterator[Continued]:
    from exleak.generation.engine import Engine
    from exleak.generation.fallback import continue_plainly
    from exleak.generation.forward import forward_of

    refused: list[str] = []
    with on_trial(model):
        forward = forward_of(model, refused)
    if forward is not None and not _are_independent(model, requests, sampling):
        turn = independent_up_to(model)
        forward, refused = None, [f"its rows depend on each other beyond {turn} tokens"]
    if forward is None:
        yield from continue_plainly(model, requests, sampling, size, counts, refused[-1])
        return
    lanes = lanes_for(model, min(size, _rows(requests)))
    parts = max(1, lanes)
    engines = [
        Engine(model, forward, share, sampling, -(-size // parts), Counts())
        for share in shares(requests, parts)
    ]
    try:
        with forward.in_use():
            if lanes:
                yield from run_lanes(engines)
            else:
                yield from chain.from_iterable(engines[0].run())
    finally:
        for engine in engines:
            counts.add(engine.counts)


def _are_independent(model: LocalModel, requests: Sequence[Request], sampling: Sampling) -> bool:
    """Whether all rows stay shorter than where the model lets them depend on each other."""
    turn = independent_up_to(model)
    return turn is None or all(
        len(model.encode(request.text)) + sampling.max_new_tokens <= turn
        for request in requests
        if request.indices
    )


def _rows(requests: Sequence[Request]) -> int:
    return sum(len(request.indices) for request in requests)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def _give_back_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rows_that_fit(model: LocalModel, requests: Sequence[Request], sampling: Sampling) -> int:
    """How many rows the free memory has room for, up to where more are of no use."""
    longest = max((len(request.text) for request in requests), default=1)
    # No tokenizer needs more than about one token for each byte; most need a quarter of it.
    tokens = longest // 2 + sampling.max_new_tokens
    free = _free_memory(model.device)
    most = _MOST_ROWS.get(model.device.type, _MOST_ROWS_ELSEWHERE)
    most *= max(1, lanes_for(model, _rows(requests)))
    if free is None:
        return most
    return max(1, min(most, int(free * _MEMORY_SHARE / row_bytes(model, tokens))))


def row_bytes(model: LocalModel, tokens: int) -> int:
    """Memory that a row of so many tokens takes: its cache, and a few logits-sized vectors."""
    one, two = _cache_bytes(model, 1), _cache_bytes(model, 2)
    return one + (tokens - 1) * (two - one) + 24 * int(model.config.vocab_size)


@torch.inference_mode()
def _cache_bytes(model: LocalModel, tokens: int) -> int:
    """Memory that a row's cache takes; seen by making one, as what models keep differs."""
    ids = torch.zeros((1, tokens), dtype=torch.long, device=model.device)
    output = model.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
    kept = {name: value for name, value in output.items() if name != "logits"}
    return sum(tensor.nbytes for tensor in _tensors(kept))


def _tensors(value: Any) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        yield from chain.from_iterable(map(_tensors, value))
    elif isinstance(value, dict):
        yield from _tensors(list(value.values()))
    elif any(_is_cache(kind) for kind in type(value).__mro__):
        yield from _tensors(vars(value))


def _is_cache(kind: type) -> bool:
    """Whether a class is a cache or a layer of one; some models bring their own kind."""
    return kind.__module__ == Cache.__module__ or kind.__name__.endswith("Cache")


def _free_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return resources.free_memory()
