"""Comparison of two sets of weight files by content."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

#: Tensors that are computed when a model is created; older versions of transformers saved them.
COMPUTED = re.compile(r"inv_freq|position_ids|(?:^|\.)masked_bias|(?:attn|attention)\.bias")


def difference(first: Sequence[Path], second: Sequence[Path]) -> str | None:
    """How two sets of weights differ; ``None`` for one model saved twice.

    Tensors of different precision are compared in the lower one. A tensor that only one set has is
    not a difference if it is a copy of another (tied weights) or is computed.
    """
    with ExitStack() as stack:
        try:
            ours, theirs = (_places(one, stack) for one in (first, second))
            return _difference(ours, theirs)
        except Exception as error:  # safetensors and torch raise many types
            reason = " ".join(str(error).split())
            return f"one of them cannot be read: {type(error).__name__}: {reason}"


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> str | None:
    common = sorted(ours.keys() & theirs.keys())
    if not common:
        return "no tensor of one is in the other"
    for name in common:
        if not _equal(ours[name].get_tensor(name), theirs[name].get_tensor(name)):
            return f"{name} is another"
    for files in (ours, theirs):
        for name in sorted(files.keys() - set(common)):
            alone = files[name].get_tensor(name)
            same = (_equal(alone, files[other].get_tensor(other)) for other in common)
            if not COMPUTED.search(name) and not any(same):
                return f"only one has {name}"
    return None


def _places(files: Sequence[Path], stack: ExitStack) -> dict[str, Any]:
    """The open file of each tensor, by tensor name."""
    places: dict[str, Any] = {}
    for path in files:
        tensors = stack.enter_context(_opened(path))
        places |= dict.fromkeys(tensors.keys(), tensors)
    return places


def _equal(a: Any, b: Any) -> bool:
    import torch

    if not (isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor)):
        return type(a) is type(b)
    if a.shape != b.shape:
        return False
    lower: torch.dtype = min(a.dtype, b.dtype, key=lambda kind: kind.itemsize)
    return torch.equal(a.to(lower), b.to(lower))


class _Pickled:
    """A file saved by torch, with the interface of a safetensors file."""

    def __init__(self, path: Path) -> None:
        import torch

        content = torch.load(path, map_location="cpu", weights_only=True)
        self._found: dict[str, Any] = content if isinstance(content, dict) else {}

    def keys(self) -> list[str]:
        return [key for key in self._found if isinstance(key, str)]

    def get_tensor(self, name: str) -> Any:
        return self._found[name]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    if path.suffix != ".safetensors":
        yield _Pickled(path)
        return
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        yield file
