"""The number of rows that fit into memory, and detection of out-of-memory errors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any

import torch
from transformers.cache_utils import Cache

from exleak import resources
from exleak.generation.local.model import LocalModel
from exleak.generation.requests import Request
from exleak.generation.sampling import Sampling

#: Maximum number of rows per engine, by device type: more do not make a step cheaper per row.
_MOST_ROWS = {"cpu": 640}
_MOST_ROWS_ELSEWHERE = 2048
#: Messages, in lower case, of out-of-memory errors without a specific type.
_NO_MEMORY = (
    "can't allocate memory", "cannot allocate memory", "not enough memory", "out of memory",
    "bad_alloc", "status_alloc_failed",
)  # fmt: skip
#: Share of the free memory that rows may take.
_MEMORY_SHARE = 0.5


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out, on any device."""
    kinds = (torch.OutOfMemoryError, MemoryError)
    return isinstance(error, kinds) or any(sign in str(error).lower() for sign in _NO_MEMORY)


def release_memory() -> None:
    """Return the cached memory of a failed run to the device."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def rows_that_fit(
    model: LocalModel,
    requests: Sequence[Request],
    sampling: Sampling,
    engines: int = 1,
    processes: int = 1,
) -> int:
    """The number of rows that fit into free memory, up to a useful maximum.

    Below it, a power of two: the number would otherwise follow every change of the free memory, and
    in lower precision texts depend on it. A spread model caches keys and values on several devices,
    of which the fullest decides.

    Args:
        model: The model.
        requests: The prompts to continue.
        sampling: Settings.
        engines: Number of engines that share the rows.
        processes: Number of processes that share the memory.
    """
    longest = max((len(request.text) for request in requests), default=1)
    # Tokenizers need at most about one token per byte, most of them a quarter of that.
    tokens = longest // 2 + sampling.max_new_tokens
    most = _MOST_ROWS.get(model.device.type, _MOST_ROWS_ELSEWHERE)
    most *= engines
    fitting = min(
        (
            int(free * _MEMORY_SHARE / processes / needed)
            for device, needed in row_bytes(model, tokens).items()
            if needed and (free := _free_memory(device)) is not None
        ),
        default=most,
    )
    return most if fitting >= most else 1 << max(fitting.bit_length() - 1, 0)


def row_bytes(model: LocalModel, tokens: int) -> Counter[torch.device]:
    """Bytes by device of a row of ``tokens`` tokens: its cache, and a few logits-sized vectors."""
    one, two = _cache_bytes(model, 1), _cache_bytes(model, 2)
    needed = Counter(
        {place: one[place] + (tokens - 1) * (two[place] - one[place]) for place in two}
    )
    needed[model.device] += 24 * int(model.config.vocab_size)
    return needed


@torch.inference_mode()
def _cache_bytes(model: LocalModel, tokens: int) -> Counter[torch.device]:
    """Bytes of a row's cache, measured on a real one because models cache different things."""
    ids = torch.zeros((1, tokens), dtype=torch.long, device=model.device)
    output = model.model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=True)
    kept = {name: value for name, value in output.items() if name != "logits"}
    found: Counter[torch.device] = Counter()
    for tensor in _tensors(kept):
        found[tensor.device] += tensor.nbytes
    return found


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
    """Whether a class is a cache or a cache layer; some models define their own."""
    return kind.__module__ == Cache.__module__ or kind.__name__.endswith("Cache")


def _free_memory(device: torch.device) -> int | None:
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    return resources.free_memory()
